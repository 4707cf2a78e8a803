"""The arguments that training and testing share, with the names that OpenMMLab's users type."""

import argparse
import os
import shlex
import sys
from typing import NoReturn

from mmengine.config import Config, DictAction
from torch.distributed.elastic.multiprocessing.errors import get_error_handler

from mmgab.engine.config import load_config
from mmgab.engine.config_options import OptionError

BAD_USAGE = 2  # exit code, as argparse's
# Where a launcher says the number of a process; asked before the processes have met.
_RANKS = dict(pytorch='RANK', slurm='SLURM_PROCID', mpi='OMPI_COMM_WORLD_RANK')


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the config and the arguments that say where and how a run runs."""
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='folder for logs, checkpoints and results')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override settings of the config: key=value, key="[a,b]", key="[(a,b),(c,d)]"; '
        '+key=value adds a key that nothing is known to read',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='what started the processes; see dist_train.sh and slurm_train.sh',
    )
    parser.add_argument(
        '--trust',
        action='store_true',
        help='unpickle everything in the checkpoint that is tested, resumed or loaded from, which '
        'RUNS the code that it carries with your rights (for init_cfg: trust=True there)',
    )
    # torch.distributed.launch passes it in one spelling or the other; torchrun sets LOCAL_RANK.
    parser.add_argument('--local_rank', '--local-rank', type=int, help=argparse.SUPPRESS)


def config_from(args: argparse.Namespace) -> Config:
    """Load the config that parsed arguments name, with their overrides."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank or 0))
    try:
        config = load_config(args.config, args.cfg_options, args.work_dir, args.launcher)
    except (FileNotFoundError, OptionError) as error:
        exit_with(error)
    if args.trust:
        config.trust_checkpoints = True
    return config


def exit_with(error: Exception, code: int = BAD_USAGE) -> NoReturn:
    """End with an error's sentence alone; the launcher of several processes repeats it."""
    get_error_handler().record_exception(error)
    print(error, file=sys.stderr)
    raise SystemExit(code)


def is_first_process(launcher: str) -> bool:
    """Whether this is the first process of a run, as its launcher says."""
    return os.environ.get(_RANKS.get(launcher, ''), '0') == '0'


def command_line() -> str:
    """The command that was typed, for the record."""
    processes = int(os.environ.get('WORLD_SIZE', 1))
    command = shlex.join(['python', *sys.argv])
    return command if processes == 1 else f'{command}  # in each of {processes} processes'
