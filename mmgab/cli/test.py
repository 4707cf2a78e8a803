"""Evaluate a checkpoint on the test set of a config.

The test_evaluator of the config computes the metrics, such as box and mask mAP of detectors, mIoU,
mAcc and aAcc of segmentors, and accuracy of classifiers.

Examples:
    mmgab test configs/mask_rcnn_swin_gab_nuclei.py work_dirs/NAME/epoch_27.pth
    mmgab test CONFIG CHECKPOINT --tta --show-dir predictions
    tools/dist_test.sh CONFIG CHECKPOINT 8    # 8 GPUs

Output in the work dir (--work-dir; default: work_dir of the config, else work_dirs/CONFIG_NAME):
    results.json               metrics, checkpoint hash and versions
    results_tta.json           the same with --tta
    TIMESTAMP/TIMESTAMP.log    log

Exit codes:
    0    evaluation finished
    1    evaluation failed, or the results could not be written
    2    wrong argument, config, data or checkpoint; one message is printed
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
        help='save the predictions to this .pkl file (detectors and classifiers) or to this '
        'folder of label maps (segmentors)',
    )
    parser.add_argument('--show', action='store_true', help='show predictions in a window')
    parser.add_argument(
        '--show-dir', help='save visualized predictions to this folder inside the work dir'
    )
    parser.add_argument(
        '--wait-time', type=float, default=2, help='seconds that --show shows an image; default: 2'
    )
    parser.add_argument(
        '--tta',
        action='store_true',
        help="test-time augmentation: the config's tta_pipeline, else flips (box detectors and "
        'classifiers)',
    )


def write_results(path: Path, result: dict) -> None:
    """Write the metrics and settings of a test to a JSON file; the write is atomic.

    Raises:
        CommandError: If the file cannot be written; the metrics are printed.
    """
    text = json.dumps(result, indent=2, default=_plain) + '\n'
    try:
        write_text(path, text)
    except OSError as error:
        print(text)
        reason = error.strerror or error
        message = f'{path} cannot be written: {reason}; the metrics are printed above'
        raise CommandError(message, code=1) from error
    print(f'Metrics written to {path}')


def _plain(value: object) -> object:
    """Convert tensors and arrays to lists of numbers, and other unsupported types to text."""
    return value.tolist() if hasattr(value, 'tolist') else str(value)


@record  # lets the launcher report why a process failed
def run(args: argparse.Namespace) -> None:
    """Check arguments, data and work dir, then evaluate."""
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
        print(f'Visualized predictions written to {folder}')
    result = describe_test(
        config, args.checkpoint, metrics, runner.seed, args.tta, args.cfg_options, folder
    )
    write_results(Path(config.work_dir, results_name(args.tta)), result)
