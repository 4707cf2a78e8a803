"""The command lines: ``mmgab COMMAND``."""
