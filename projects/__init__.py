"""Research projects that use mmgab."""
