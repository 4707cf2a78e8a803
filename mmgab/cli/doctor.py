"""Check that the installation can train, and print a fix for every failed check.

Checks Python, PyTorch, CUDA, the OpenMMLab packages, the compiled ops of mmcv, the registries, a
forward and backward pass, and free disk space.

Examples:
    mmgab doctor
    mmgab doctor --work-dir /data/runs --json

Output: one line for each check, PASS, FAIL or NOTE. A NOTE matters to some users only. With
--json: a JSON object with the names of failed checks and all outcomes.

Exit codes:
    0    no check failed
    1    at least one check failed
"""

from mmgab.doctor.__main__ import add_arguments, run

__all__ = ['add_arguments', 'run']
