"""Drop what only training needs, and put the hash in the name.

FILE is a path, a URL or timm://NAME. The output is written completely or not at all.

For example:
  mmgab publish work_dirs/NAME/epoch_36.pth
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
    parser.add_argument('-o', '--output', help='name before the hash; by default that of FILE')


def run(args: argparse.Namespace) -> None:
    """Write a small copy with the hash in its name."""
    checkpoint = read(args)
    path = publish(checkpoint, Path(args.output or local_path(args.file)))
    print(f'Wrote {path} ({path.stat().st_size / 1e6:.0f} MB), sha256 {file_sha256(path)}')
