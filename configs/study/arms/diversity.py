"""Patch diversity losses (arXiv 2104.12753) on the first and last tokens of the last stage."""

custom_hooks = [dict(type='mmgab.PatchDiversityHook')]
