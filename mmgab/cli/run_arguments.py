"""The arguments that training and testing share, with the names that OpenMMLab's users type."""

import argparse
import os
import shlex
import sys
from pathlib import Path

from mmengine.config import Config

from mmgab.engine.config import load_config

from .arguments import add_trust
from .config_arguments import add_cfg_options, add_config

# Where a launcher says the number of a process; asked before the processes have met.
_RANKS = dict(pytorch='RANK', slurm='SLURM_PROCID', mpi='OMPI_COMM_WORLD_RANK')


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the config and the arguments that say where and how a run runs."""
    add_config(parser)
    parser.add_argument('--work-dir', help='folder for logs, checkpoints and results')
    add_cfg_options(parser)
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='what started the processes; see dist_train.sh and slurm_train.sh',
    )
    what = 'the checkpoint that is tested, resumed or loaded from'
    add_trust(parser, what, ' (for init_cfg: trust=True there)')
    # torch.distributed.launch passes it in one spelling or the other; torchrun sets LOCAL_RANK.
    parser.add_argument('--local_rank', '--local-rank', type=int, help=argparse.SUPPRESS)


def config_from(args: argparse.Namespace) -> Config:
    """Load the config that parsed arguments name, with their overrides."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank or 0))
    config = load_config(args.config, args.cfg_options, args.work_dir, args.launcher)
    if args.trust:
        config.trust_checkpoints = True
    return config


def is_first_process(launcher: str) -> bool:
    """Whether this is the first process of a run, as its launcher says."""
    return os.environ.get(_RANKS.get(launcher, ''), '0') == '0'


def command_line() -> str:
    """The command that was typed, for the record."""
    program, *words = sys.argv
    typed = ['mmgab'] if Path(program).name in ('mmgab', '__main__.py') else ['python', program]
    processes = int(os.environ.get('WORLD_SIZE', 1))
    command = shlex.join([*typed, *words])
    return command if processes == 1 else f'{command}  # in each of {processes} processes'
