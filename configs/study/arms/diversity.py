"""Patch diversity losses (arXiv 2104.12753) between a stage's patches and its last tokens."""

# Of the last stage, which is among the deepest in these networks.
custom_hooks = [dict(type='mmgab.PatchDiversityHook', stage=-1)]
