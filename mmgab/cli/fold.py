"""Convert a SwinGAB checkpoint to an equivalent stock Swin checkpoint.

Adds each Gaussian to the relative position bias table of its layer. The stock Swin computes the
same function.

FILE is a path, a URL or timm://NAME, in any supported layout (docs/checkpoints.md).

Examples:
  mmgab fold work_dirs/NAME/epoch_36.pth --to mmdet -o stock.pth
  mmgab fold work_dirs/NAME/epoch_36.pth --to timm -o swin_s.safetensors --figure fold.png

Output: the checkpoint of --output, and the plot of --figure. Writes are atomic and never replace an
input. Without a suffix, --to transformers writes a folder with model.safetensors and config.json.

Exit codes:
  0    the checkpoint was written
  2    FILE, --output or another argument is invalid; one message is printed
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
    parser.add_argument('--to', required=True, choices=STOCK_PROJECTS, help='layout of the output')
    add_figure(parser)


def run(args: argparse.Namespace) -> None:
    """Fold the Gaussians and write the checkpoint."""
    check_outputs(args, args.to)
    contents, checkpoint = open_file(args)
    folded = fold(contents)
    save(args, folded, args.to, checkpoint.get('meta'))
    draw(args, contents, folded, ('table', 'Gaussian', 'folded table'))
