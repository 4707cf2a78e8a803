"""Benchmark of time and memory against other Swin implementations; see docs/performance.md."""
