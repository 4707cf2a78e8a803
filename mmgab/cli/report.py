"""One page about a training: what was trained, curves, metrics, predictions, where it looks.

    python tools/analysis_tools/report.py work_dirs/mask_rcnn_swin_gab_nuclei -o report.html
    python tools/analysis_tools/report.py work_dirs/demo -o work_dirs/demo/report.html

WORK_DIR is that of a run, or a folder of several. The page holds everything and needs no network:
it can be mailed, printed, and read on a phone. Pictures are those that lie in the work dir, as
tools/test.py --show-dir leaves them.

Nothing in the work dir is run: the config there is read as data, the checkpoint as numbers. With
--run-config the config is run, and receptive fields are measured, on a few images of the validation
set: that builds the network and the data set, with whatever the config names.

A part of the page that cannot be made says why in its place; all others are made.
"""

import argparse
import sys
from pathlib import Path

from mmengine.config import Config

from mmgab.inspection.report_config import read_config
from mmgab.inspection.report_page import page
from mmgab.inspection.report_runs import find_runs


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('work_dir', type=Path, help='of a run, or a folder of several')
    parser.add_argument('-o', '--out', type=Path, required=True, help='HTML file to write')
    parser.add_argument(
        '--run-config',
        action='store_true',
        help="run the work dir's config, with your rights, and measure receptive fields",
    )
    parser.add_argument(
        '--images',
        default='val',
        help="to measure receptive fields with: a folder, 'val' for the config's own (that is what "
        "it does by default), 'noise', or 'none' for no fields",
    )
    parser.add_argument('--num', type=int, default=8, help='how many of them; 8')
    parser.add_argument('--seed', type=int, default=0, help='of the draw, and of random weights')
    parser.add_argument(
        '--size',
        nargs=2,
        type=int,
        metavar=('HEIGHT', 'WIDTH'),
        default=(256, 256),
        help='of these images, in pixels; 256 256',
    )
    return parser.parse_args()


def main() -> None:
    """Write the page, or say in a sentence why not."""
    args = parse_args()
    if args.out.is_dir():
        sys.exit(f'error: --out: {args.out} is a folder')
    try:
        read = Config.fromfile if args.run_config else read_config
        html = page(args.work_dir, find_runs(args.work_dir, read), args)
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(html)
    except (ValueError, OSError) as error:
        sys.exit(f'error: {error}')
    print(f'Written to {args.out}: {len(html) / 2**20:.1f} MiB')


if __name__ == '__main__':
    main()
