"""Split a Gaussian off the tables: a SwinGAB, same function.

FILE is a path, a URL or timm://NAME, in any layout; see docs/checkpoints.md. The output is written
completely or not at all, never over an input.

For example:
  mmgab unfold swin_tiny_patch4_window7_224.pth -o swin_t_gab.pth --figure split.png
"""

import argparse

from mmgab.checkpoints import unfold

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
    parser.add_argument('--per-head', action='store_true', help='one Gaussian for each head')
    add_figure(parser)


def run(args: argparse.Namespace) -> None:
    """Split the Gaussian off."""
    check_outputs(args, 'mmgab')
    contents, checkpoint = open_file(args)
    unfolded, splits = unfold(contents, args.per_head)
    for name, split in splits.items():
        print(f'{name.removesuffix(".attn.w_msa.relative_position_bias_table"):<18}  {split}')
    save(args, unfolded, 'mmgab', checkpoint.get('meta'))
    draw(args, contents, unfolded, ('table', 'Gaussian split off', 'remainder'))
