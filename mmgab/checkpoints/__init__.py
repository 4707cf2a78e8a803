"""Checkpoints in: read, detect the layout, match strictly, load, report."""

from .load import load, load_whole_model, read_checkpoint
from .match import LoadReport

__all__ = ['LoadReport', 'load', 'load_whole_model', 'read_checkpoint']
