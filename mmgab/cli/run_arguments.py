"""Arguments shared by training and testing, named as in OpenMMLab's tools."""

import argparse
import os
import shlex
import sys
from pathlib import Path

from mmengine.config import Config

from mmgab.engine.config import load_config
from mmgab.openmmlab_compat import silence_pycocotools

from .arguments import add_trust
from .config_arguments import add_cfg_options, add_config

# Environment variables with the rank, read before torch.distributed is initialized.
_RANKS = dict(pytorch='RANK', slurm='SLURM_PROCID', mpi='OMPI_COMM_WORLD_RANK')


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the config, work dir, launcher and related arguments."""
    add_config(parser)
    parser.add_argument('--work-dir', help='output folder for logs, checkpoints and results')
    add_cfg_options(parser)
    parser.add_argument(
        '--verbose',
        action='store_true',
        help='print the full log to the terminal, including config, environment and hooks',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher; set by tools/dist_*.sh and tools/slurm_*.sh; default: none',
    )
    what = 'the checkpoint to test, to resume from or to load (load_from)'
    add_trust(parser, what, '. For init_cfg, set trust=True there')
    # torch.distributed.launch passes either spelling; torchrun sets LOCAL_RANK instead.
    parser.add_argument('--local_rank', '--local-rank', type=int, help=argparse.SUPPRESS)


def config_from(args: argparse.Namespace) -> Config:
    """Load the config file with the overrides of the command line."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank or 0))
    config = load_config(args.config, args.cfg_options, args.work_dir, args.launcher)
    if args.verbose:
        config.verbose = True
    else:
        silence_pycocotools()
    if args.trust:
        config.trust_checkpoints = True
    return config


def is_first_process(launcher: str) -> bool:
    """Return True in the process of rank 0, according to the launcher's environment variables."""
    return os.environ.get(_RANKS.get(launcher, ''), '0') == '0'


def program() -> str:
    """Return the program name to print in suggested commands."""
    return 'mmgab' if _is_command() else 'python -m mmgab'


def _is_command() -> bool:
    return Path(sys.argv[0]).name in ('mmgab', '__main__.py')


def command_line() -> str:
    """Return the command line of this process, for the log."""
    script, *words = sys.argv
    typed = ['mmgab'] if _is_command() else ['python', script]
    processes = int(os.environ.get('WORLD_SIZE', 1))
    command = shlex.join([*typed, *words])
    return command if processes == 1 else f'{command}  # in each of {processes} processes'
