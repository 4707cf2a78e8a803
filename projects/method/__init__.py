"""Figures of docs/method_in_pictures.md."""
