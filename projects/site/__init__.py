"""The documentation website."""
