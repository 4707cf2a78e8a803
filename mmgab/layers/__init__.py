"""Modules that networks are made of, and that no config names."""
