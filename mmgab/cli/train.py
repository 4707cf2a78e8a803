"""Train a detector or a segmentor.

    mmgab train configs/mask_rcnn_swin_gab_nuclei.py
    tools/dist_train.sh configs/mask_rcnn_swin_s_gab_coco.py 8 --amp

The config is MMDetection's, MMSegmentation's or MMPretrain's, as text or in pure Python.
"""

import argparse
from contextlib import nullcontext

from mmengine.config import Config
from torch.distributed.elastic.multiprocessing.errors import record

from mmgab.engine import build_runner, check_data, check_work_dir
from mmgab.engine.mixed_precision import enable_mixed_precision, leave_out_mixed_precision
from mmgab.reliability import leave_processes
from mmgab.reliability.launcher_watch import end_with_launcher
from mmgab.reliability.work_dir_lock import WorkDirInUseError, work_dir_lock

from .checkpoint_files import check_is_there
from .mistakes import CommandError
from .run_arguments import add_run_arguments, command_line, config_from, is_first_process


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_run_arguments(parser)
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help="scale the learning rate with the total batch size, from auto_scale_lr's base",
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='PATH',
        help="go on from a checkpoint; without a path, from the work dir's newest that can be read",
    )
    parser.add_argument(
        '--force', action='store_true', help='train into a work dir that another run trains into'
    )


def apply_training_flags(config: Config, args: argparse.Namespace) -> None:
    """Write the flags of the command line into the config."""
    if args.amp:
        enable_mixed_precision(config)
    if leave_out_mixed_precision(config):
        print('Mixed precision is left out: MMEngine has none on the CPU and on MPS')
    if args.auto_scale_lr:
        if 'base_batch_size' not in (config.get('auto_scale_lr') or {}):
            raise ValueError(
                '--auto-scale-lr needs auto_scale_lr=dict(base_batch_size=...) in the config: the '
                'total batch size that its learning rate was chosen for'
            )
        config.auto_scale_lr.enable = True
    if args.resume:
        config.resume = True
        config.load_from = None if args.resume == 'auto' else args.resume


def train(config: Config) -> None:
    """Train what a config says."""
    runner = build_runner(config)
    runner.logger.info(f'Command: {command_line()}')
    runner.train()
    leave_processes()


@record  # so that the launcher of several processes can tell why one ended
def run(args: argparse.Namespace) -> None:
    """Check what can be checked, then train."""
    end_with_launcher()
    config = config_from(args)
    apply_training_flags(config, args)
    check_is_there(config.get('load_from'))
    check_data(config, ('train_dataloader', 'val_dataloader'))
    check_work_dir(config.work_dir)
    is_first = is_first_process(config.launcher)
    try:
        with work_dir_lock(config.work_dir, args.force) if is_first else nullcontext():
            train(config)
    except WorkDirInUseError as error:
        raise CommandError(str(error)) from error
