"""Checks of the installation, run by ``mmgab doctor``."""
