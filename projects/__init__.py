"""Research on top of mmgab."""
