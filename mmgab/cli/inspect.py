"""Print layout, variant, position bias tables and SHA-256 of a Swin checkpoint.

FILE is a path, a URL or timm://NAME, in any supported layout (docs/checkpoints.md).

Examples:
  mmgab inspect swin_small_patch4_window7_224.pth
  mmgab inspect timm://swin_tiny_patch4_window7_224.ms_in1k

Output: printed only; no file is written.

Exit codes:
  0    FILE has a Swin
  2    FILE cannot be read or has no Swin; one message is printed
"""

import argparse

from mmgab.checkpoints.files import local_path
from mmgab.checkpoints.summary import summary
from mmgab.downloads.download import file_sha256

from .checkpoint_files import add_file, add_prefix, add_safety, open_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_file(parser)
    add_prefix(parser)
    add_safety(parser)


def run(args: argparse.Namespace) -> None:
    """Print the hash and the summary of a checkpoint."""
    contents, _ = open_file(args)
    if '://' not in args.file or args.file.startswith('http'):
        print(f'sha256      {file_sha256(local_path(args.file))}')
    for line in summary(contents):
        print(line, flush=True)
