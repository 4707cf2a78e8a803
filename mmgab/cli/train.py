"""Train a detector, segmentor or classifier.

CONFIG is a config of MMDetection, MMSegmentation or MMPretrain, in the text or pure Python style.

Examples:
    mmgab train configs/mask_rcnn_swin_gab_nuclei.py
    mmgab train mmgab::upernet_swin_s_gab_ade20k.py --amp --work-dir work_dirs/upernet
    mmgab train CONFIG --resume
    tools/dist_train.sh CONFIG 8 --amp    # 8 GPUs

Output in the work dir (--work-dir; default: work_dir of the config, else work_dirs/CONFIG_NAME):
    epoch_N.pth or iter_N.pth    checkpoints; last_checkpoint holds the path of the newest one
    TIMESTAMP/TIMESTAMP.log      log
    TIMESTAMP/vis_data/          scalars.json (losses, metrics) and config.py

Exit codes:
    0     training finished
    1     training failed; the traceback is printed
    2     wrong argument, config, data or checkpoint, or work dir in use; one message is printed
    75    stopped by SIGTERM, SIGINT or SIGUSR1 after saving a checkpoint; continue with --resume
"""

import argparse
from contextlib import nullcontext

from mmengine.config import Config
from torch.distributed.elastic.multiprocessing.errors import record

from mmgab.engine import build_runner, check_data, check_work_dir
from mmgab.engine.mixed_precision import enable_mixed_precision, leave_out_mixed_precision
from mmgab.engine.training_summary import training_summary
from mmgab.reliability import leave_processes
from mmgab.reliability.launcher_watch import end_with_launcher
from mmgab.reliability.work_dir_lock import WorkDirInUseError, work_dir_lock

from .checkpoint_files import check_is_there
from .mistakes import CommandError
from .run_arguments import add_run_arguments, command_line, config_from, is_first_process, program


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_run_arguments(parser)
    parser.add_argument(
        '--amp', action='store_true', help='train with automatic mixed precision (AMP)'
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by total batch size / auto_scale_lr.base_batch_size of the '
        'config',
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='PATH',
        help='resume training from the checkpoint PATH; without PATH, from the newest readable '
        'checkpoint in the work dir',
    )
    parser.add_argument(
        '--force', action='store_true', help='use the work dir even if another run is using it'
    )


def apply_training_flags(config: Config, args: argparse.Namespace) -> None:
    """Apply ``--amp``, ``--auto-scale-lr`` and ``--resume`` to the config."""
    if args.amp:
        enable_mixed_precision(config)
    if leave_out_mixed_precision(config):
        print('AMP disabled: MMEngine does not support mixed precision on CPU and MPS')
    if args.auto_scale_lr:
        if 'base_batch_size' not in (config.get('auto_scale_lr') or {}):
            raise ValueError(
                '--auto-scale-lr needs auto_scale_lr=dict(base_batch_size=...) in the config, '
                f'got auto_scale_lr={config.get("auto_scale_lr")}. Set base_batch_size to the '
                'total batch size that the learning rate was tuned for'
            )
        config.auto_scale_lr.enable = True
    if args.resume:
        config.resume = True
        config.load_from = None if args.resume == 'auto' else args.resume


def train(config: Config, path: str) -> None:
    """Build the runner, train, and log a summary; ``path`` is the config file."""
    runner = build_runner(config)
    runner.logger.info(f'Command: {command_line()}')
    runner.train()
    runner.logger.info(training_summary(runner, path, program()))
    leave_processes()


@record  # lets the launcher report why a process failed
def run(args: argparse.Namespace) -> None:
    """Check arguments, data and work dir, then train."""
    end_with_launcher()
    config = config_from(args)
    apply_training_flags(config, args)
    check_is_there(config.get('load_from'))
    check_data(config, ('train_dataloader', 'val_dataloader'))
    check_work_dir(config.work_dir)
    is_first = is_first_process(config.launcher)
    try:
        with work_dir_lock(config.work_dir, args.force) if is_first else nullcontext():
            train(config, args.config)
    except WorkDirInUseError as error:
        raise CommandError(str(error)) from error
