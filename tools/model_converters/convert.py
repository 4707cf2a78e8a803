"""Inspect, convert, fold, unfold and publish checkpoints of any Swin.

Examples:
    python tools/model_converters/convert.py inspect swin_tiny_patch4_window7_224.pth
    python tools/model_converters/convert.py import swin_tiny_patch4_window7_224.pth -o swin_t.pth
    python tools/model_converters/convert.py unfold swin_t.pth -o swin_t_gab.pth
    python tools/model_converters/convert.py fold epoch_36.pth --to mmdet -o stock.pth
    python tools/model_converters/convert.py publish epoch_36.pth

FILE is a path, a URL or timm://NAME, in any supported layout (docs/checkpoints.md). Writes are
atomic and never replace an input. The exit code is 0 on success and 2 if FILE or an argument is
invalid.
"""

import sys

from mmgab.cli.commands import run_one_of


def main() -> int:
    """Run the command and return the exit code."""
    return run_one_of(('inspect', 'import', 'fold', 'unfold', 'publish'), __doc__)


if __name__ == '__main__':
    sys.exit(main())
