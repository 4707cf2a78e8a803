"""Convert a Swin checkpoint to an equivalent SwinGAB checkpoint.

Fits a Gaussian to each relative position bias table and subtracts it from the table. The SwinGAB
computes the same function.

FILE is a path, a URL or timm://NAME, in any supported layout (docs/checkpoints.md).

Examples:
  mmgab unfold swin_tiny_patch4_window7_224.pth -o swin_t_gab.pth --figure split.png
  mmgab unfold timm://swin_tiny_patch4_window7_224.ms_in1k -o swin_t_gab.pth --per-head

Output: the checkpoint of --output, and the plot of --figure. Writes are atomic and never replace an
input.

Exit codes:
  0    the checkpoint was written
  2    FILE, --output or another argument is invalid; one message is printed
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
    parser.add_argument('--per-head', action='store_true', help='fit one Gaussian for each head')
    add_figure(parser)


def run(args: argparse.Namespace) -> None:
    """Split the Gaussians off the tables and write the checkpoint."""
    check_outputs(args, 'mmgab')
    contents, checkpoint = open_file(args)
    unfolded, splits = unfold(contents, args.per_head)
    for name, split in splits.items():
        print(f'{name.removesuffix(".attn.w_msa.relative_position_bias_table"):<18}  {split}')
    save(args, unfolded, 'mmgab', checkpoint.get('meta'))
    draw(args, contents, unfolded, ('table', 'Gaussian split off', 'remainder'))
