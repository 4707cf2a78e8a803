"""Add the Gaussian to the tables: a stock checkpoint, same function.

FILE is a path, a URL or timm://NAME, in any layout; see docs/checkpoints.md. The output is written
completely or not at all, never over an input.

For example:
  mmgab fold work_dirs/NAME/epoch_36.pth --to timm -o swin_s.safetensors
"""

import argparse

from mmgab.checkpoints import fold
from mmgab.checkpoints.target_layouts import STOCK_PROJECTS

from .checkpoint_files import (
    add_conversion,
    add_figure,
    check_outputs,
    draw,
    open_file,
    save,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_conversion(parser)
    parser.add_argument('--to', required=True, choices=STOCK_PROJECTS, help='whose layout')
    add_figure(parser)


def run(args: argparse.Namespace) -> None:
    """Fold and convert."""
    check_outputs(args, args.to)
    contents, checkpoint = open_file(args)
    folded = fold(contents)
    save(args, folded, args.to, checkpoint.get('meta'))
    draw(args, contents, folded, ('table', 'Gaussian', 'folded table'))
