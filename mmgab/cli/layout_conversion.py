"""Convert any project's Swin to the layout of mmdet, mmseg and mmgab.

FILE is a path, a URL or timm://NAME, in any layout; see docs/checkpoints.md. The output is written
completely or not at all, never over an input.

For example:
  mmgab import timm://swin_tiny_patch4_window7_224.ms_in1k -o swin_t.pth
"""

import argparse

from .checkpoint_files import (
    add_conversion,
    check_outputs,
    open_file,
    save,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_conversion(parser)


def run(args: argparse.Namespace) -> None:
    """Convert to OpenMMLab's layout."""
    check_outputs(args, 'mmgab')
    contents, checkpoint = open_file(args)
    save(args, contents, 'mmgab', checkpoint.get('meta'))
