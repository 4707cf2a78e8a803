"""Look into checkpoints of any Swin, convert them, fold the Gaussian into them or split it off.

    python tools/model_converters/convert.py inspect swin_tiny_patch4_window7_224.pth
    python tools/model_converters/convert.py import swin_tiny_patch4_window7_224.pth -o swin_t.pth
    python tools/model_converters/convert.py unfold swin_t.pth -o swin_t_gab.pth
    python tools/model_converters/convert.py fold epoch_36.pth --to mmdet -o stock.pth
    python tools/model_converters/convert.py publish epoch_36.pth

FILE is a path, a URL or timm://NAME, in any layout; see docs/checkpoints.md. Files are written
completely or not at all, never over an input. The exit code is 0 only when all that was asked for
was done.
"""

import sys

from mmgab.cli.commands import run_one_of


def main() -> int:
    """Run the command that is named; returns the exit code."""
    return run_one_of(('inspect', 'import', 'fold', 'unfold', 'publish'), __doc__)


if __name__ == '__main__':
    sys.exit(main())
