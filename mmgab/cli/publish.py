"""Remove the training state from a checkpoint, and add its hash to the file name.

The optimizer, schedulers and other training state are removed. FILE is a path, a URL or
timm://NAME.

Examples:
  mmgab publish work_dirs/NAME/epoch_36.pth
  mmgab publish work_dirs/NAME/epoch_36.pth -o mask_rcnn_swin_s_gab.pth

Output: NAME-HASH.pth, where HASH is the first 8 digits of its SHA-256. The write is atomic.

Exit codes:
  0    the checkpoint was written
  2    FILE or --output is invalid; one message is printed
"""

import argparse
from pathlib import Path

from mmgab.checkpoints.files import local_path
from mmgab.checkpoints.publication import publish
from mmgab.downloads.download import file_sha256

from .checkpoint_files import add_file, add_safety, read


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_file(parser)
    add_safety(parser)
    parser.add_argument(
        '-o', '--output', help='output name, to which the hash is added; default: FILE'
    )


def run(args: argparse.Namespace) -> None:
    """Write a copy for publication, with the hash in its name."""
    checkpoint = read(args)
    path = publish(checkpoint, Path(args.output or local_path(args.file)))
    print(f'Wrote {path} ({path.stat().st_size / 1e6:.0f} MB), sha256 {file_sha256(path)}')
