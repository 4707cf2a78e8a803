"""Time and memory beside other Swins: docs/performance.md."""
