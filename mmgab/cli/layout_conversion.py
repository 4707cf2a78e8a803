"""Convert Swin weights of any project to the layout of mmdet, mmseg and mmgab.

FILE is a path, a URL or timm://NAME, in any supported layout (docs/checkpoints.md).

Examples:
  mmgab import timm://swin_tiny_patch4_window7_224.ms_in1k -o swin_t.pth
  mmgab import swin_tiny_patch4_window7_224.pth -o swin_t.pth

Output: the checkpoint of --output. Writes are atomic and never replace an input.

Exit codes:
  0    the checkpoint was written
  2    FILE, --output or another argument is invalid; one message is printed
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
    """Convert to the OpenMMLab layout."""
    check_outputs(args, 'mmgab')
    contents, checkpoint = open_file(args)
    save(args, contents, 'mmgab', checkpoint.get('meta'))
