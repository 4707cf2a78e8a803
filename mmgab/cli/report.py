"""One page about a training: what was trained, curves, metrics, predictions, where it looks.

    mmgab report work_dirs/mask_rcnn_swin_gab_nuclei -o report.html
    mmgab report work_dirs/demo -o work_dirs/demo/report.html

WORK_DIR is that of a run, or a folder of several. The page holds everything and needs no network:
it can be mailed, printed, and read on a phone. Pictures are those that lie in the work dir, as
tools/test.py --show-dir leaves them.

Nothing in the work dir is run: the config there is read as data, the checkpoint as numbers. With
--run-config the config is run, and receptive fields are measured, on a few images of the validation
set: that builds the network and the data set, with whatever the config names.

A part of the page that cannot be made says why in its place; all others are made.
"""

import argparse
from pathlib import Path

from mmengine.config import Config

from mmgab.atomic_file import write_text
from mmgab.inspection.report_config import read_config
from mmgab.inspection.report_page import page
from mmgab.inspection.report_runs import find_runs

from .arguments import add_images, add_out, add_size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument('work_dir', type=Path, help='of a run, or a folder of several')
    add_out(parser, '-o', required=True, help='HTML file to write')
    parser.add_argument(
        '--run-config',
        action='store_true',
        help="run the work dir's config, with your rights, and measure receptive fields",
    )
    add_images(
        parser,
        default='val',
        help="to measure receptive fields with: a folder, 'val' for the config's own (that is what "
        "it does by default), 'noise', or 'none' for no fields",
        num=8,
        num_help='how many of them; 8',
        seed_help='of the draw, and of random weights',
    )
    add_size(parser, (256, 256), 'of these images, in pixels; 256 256')


def run(args: argparse.Namespace) -> None:
    """Write the page."""
    if args.out.is_dir():
        raise IsADirectoryError(f'--out: {args.out} is a folder')
    read = Config.fromfile if args.run_config else read_config
    html = page(args.work_dir, find_runs(args.work_dir, read), args)
    write_text(args.out, html)
    print(f'Written to {args.out}: {len(html) / 2**20:.1f} MiB')
