"""Write an HTML report of one or several training runs.

The report has the settings, learning curves, metrics, predictions (images written by mmgab test
--show-dir), position bias tables and, with --run-config, receptive fields of each run. WORK_DIR is
the work dir of a run, or a folder of several work dirs.

By default, no code of the work dir is executed: the config is parsed as literals, and the
checkpoint is loaded with weights only. --run-config executes the config, and builds its model and
validation set, to measure receptive fields.

Examples:
    mmgab report work_dirs/mask_rcnn_swin_gab_nuclei -o report.html
    mmgab report work_dirs/demo -o work_dirs/demo/report.html --run-config

Output: one self-contained HTML file with all figures. A section that cannot be made shows the
reason instead.

Exit codes:
    0    the report was written
    2    wrong argument, or WORK_DIR has no training run; one message is printed
"""

import argparse
from pathlib import Path

from mmengine.config import Config

from mmgab.atomic_file import write_text
from mmgab.inspection.report_config import read_config
from mmgab.inspection.report_page import page
from mmgab.inspection.report_runs import find_runs
from mmgab.openmmlab_compat import silence_pycocotools

from .arguments import add_images, add_out, add_size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument('work_dir', type=Path, help='work dir of a run, or a folder of several')
    add_out(parser, '-o', required=True, help='output HTML file')
    parser.add_argument(
        '--run-config',
        action='store_true',
        help='execute the config of the work dir, with your permissions, to measure receptive '
        'fields',
    )
    add_images(
        parser,
        default='val',
        help="images for receptive fields: a folder, 'val' (validation set of the config; "
        "default), 'noise', or 'none' to skip them",
        num=8,
        num_help='number of images, sampled with --seed; default: 8',
        seed_help='random seed of the image sample and of initial weights; default: 0',
    )
    add_size(parser, (256, 256), 'size of these images in pixels; default: 256 256')


def run(args: argparse.Namespace) -> None:
    """Write the report."""
    if args.out.is_dir():
        raise IsADirectoryError(f'--out: {args.out} is a folder; it must be an HTML file')
    silence_pycocotools()
    read = Config.fromfile if args.run_config else read_config
    html = page(args.work_dir, find_runs(args.work_dir, read), args)
    write_text(args.out, html)
    print(f'Written to {args.out}: {len(html) / 2**20:.1f} MiB')
