"""Evaluate a detector (box and mask mAP) or a segmentor (mIoU, mAcc, aAcc).

    mmgab test configs/mask_rcnn_swin_gab_nuclei.py work_dirs/NAME/epoch_27.pth
    tools/dist_test.sh configs/upernet_swin_s_gab_ade20k.py CHECKPOINT 8 --tta

The metrics are printed, and written to results.json in the work dir; with --tta, to
results_tta.json.
"""

import argparse
import json
from pathlib import Path

from torch.distributed.elastic.multiprocessing.errors import record

from mmgab.atomic_file import write_text
from mmgab.engine import CheckedRunner, check_data, check_work_dir
from mmgab.engine.results import describe_test, results_name
from mmgab.engine.test_time import dump_predictions, enable_drawing, enable_tta
from mmgab.reliability import leave_processes
from mmgab.reliability.launcher_watch import end_with_launcher

from .arguments import add_fitting_checkpoint
from .checkpoint_files import check_is_there
from .mistakes import CommandError
from .run_arguments import add_run_arguments, command_line, config_from, is_first_process


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_run_arguments(parser)
    add_fitting_checkpoint(parser)
    parser.add_argument(
        '--out',
        help='keep the predictions: a .pkl file for detection, a folder of label maps for '
        'segmentation',
    )
    parser.add_argument('--show', action='store_true', help='show predictions in a window')
    parser.add_argument('--show-dir', help='folder, below the work dir, for drawn predictions')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds a window is shown')
    parser.add_argument(
        '--tta',
        action='store_true',
        help='test-time augmentation: scales and flips for segmentation, flips for boxes',
    )


def write_results(path: Path, result: dict) -> None:
    """Write the description of a test with its metrics, completely or not at all.

    Raises:
        CommandError: If it cannot be written; the metrics are printed.
    """
    text = json.dumps(result, indent=2, default=_plain) + '\n'
    try:
        write_text(path, text)
    except OSError as error:
        print(text)
        reason = error.strerror or error
        message = f'{path} cannot be written: {reason}; the metrics are above'
        raise CommandError(message, code=1) from error
    print(f'Metrics written to {path}')


def _plain(value: object) -> object:
    """Numbers of a tensor or an array; what else JSON does not know, as text."""
    return value.tolist() if hasattr(value, 'tolist') else str(value)


@record  # so that the launcher of several processes can tell why one ended
def run(args: argparse.Namespace) -> None:
    """Check what can be checked, then test."""
    end_with_launcher()
    config = config_from(args)
    folder = None
    if args.show or args.show_dir:
        folder = enable_drawing(config, args.show, args.show_dir, args.wait_time)
    if args.tta:
        enable_tta(config)
    if args.out:
        dump_predictions(config, args.out)
    check_is_there(args.checkpoint)
    check_data(config, ('test_dataloader',))
    check_work_dir(config.work_dir)
    config.load_from, config.resume = args.checkpoint, False
    runner = CheckedRunner.from_cfg(config)
    runner.logger.info(f'Command: {command_line()}')
    metrics = runner.test()
    leave_processes()  # before a write that may fail
    if not is_first_process(config.launcher):
        return
    if folder is not None:
        print(f'Drawn predictions are in {folder}')
    result = describe_test(
        config, args.checkpoint, metrics, runner.seed, args.tta, args.cfg_options, folder
    )
    write_results(Path(config.work_dir, results_name(args.tta)), result)
