"""torchrun's arguments; what users give our scripts is checked before a process starts.

The scripts in ``tools/`` take it as a word (GPUS) and in environment variables (PORT, NNODES,
NODE_RANK), whose names the sentences use.
"""

import math
import shutil
import socket
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import torch
from torch.distributed import run as torchrun
from torch.distributed.argparse_util import env

_BAD_USAGE = 2
_DEFAULT_PORT = 29500  # torchrun's


def parse_arguments(argv: Sequence[str] | None = None) -> Namespace:
    """Parse and check a command line; one machine that is given no port takes a free one.

    Raises:
        SystemExit: If something is not allowed, with 2 and a sentence on stderr.
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.master_port is None:
        arguments.standalone = arguments.nnodes == '1:1'
        arguments.master_port = _DEFAULT_PORT
    for problem in (_rank_problem, _device_problem, _script_problem, _port_problem):
        sentence = problem(arguments)
        if sentence:
            parser.error(sentence)
    return arguments


class _Parser(ArgumentParser):
    """Argument parser whose errors are one sentence, without torchrun's long usage text."""

    def error(self, message: str) -> NoReturn:
        print(message, file=sys.stderr)
        raise SystemExit(_BAD_USAGE)


def _parser() -> ArgumentParser:
    """The parser of torchrun, with checks of its own for some arguments."""
    parser = _Parser(
        parents=[torchrun.get_args_parser()], conflict_handler='resolve', add_help=False
    )
    parser.add_argument(
        '--nproc-per-node', '--nproc_per_node', action=env, type=_processes, default='1',
        help='number of processes on this machine, or auto, cpu or gpu',
    )  # fmt: skip
    parser.add_argument(
        '--nnodes', action=env, type=_nodes, default='1', help='number of machines, or FEWEST:MOST'
    )
    parser.add_argument(
        '--node-rank', '--node_rank', action=env, type=_node_rank, default='0',
        help='rank of this machine, from 0',
    )  # fmt: skip
    parser.add_argument(
        '--master-port', '--master_port', action=env, type=_port,
        help='port of the first machine (default: 29500; a free port on a single machine)',
    )  # fmt: skip
    return parser


def _processes(text: str) -> str:
    with suppress(ValueError):
        if torchrun.determine_local_world_size(text) > 0:
            return text
    raise ArgumentTypeError(
        f'GPUS is {text!r}; it must be an integer >= 1, auto, cpu, or gpu if there is one'
    )


def _nodes(text: str) -> str:
    with suppress(ValueError, RuntimeError):
        fewest, most = torchrun.parse_min_max_nnodes(text)
        if 0 < fewest <= most:
            return f'{fewest}:{most}'
    raise ArgumentTypeError(f'NNODES is {text!r}; it must be an integer >= 1 or FEWEST:MOST')


def _node_rank(text: str) -> int:
    return _whole_number(text, 'NODE_RANK', 0)


def _port(text: str) -> int:
    return _whole_number(text, 'PORT', 1, 65535)


def _whole_number(text: str, variable: str, low: int, high: float = math.inf) -> int:
    with suppress(ValueError):
        if low <= int(text) <= high:
            return int(text)
    allowed = f'>= {low}' if high == math.inf else f'from {low} to {high}'
    raise ArgumentTypeError(f'{variable} is {text!r}; it must be an integer {allowed}')


def _rank_problem(arguments: Namespace) -> str | None:
    nodes = int(arguments.nnodes.rpartition(':')[2])
    if arguments.node_rank < nodes:
        return None
    return (
        f'NODE_RANK is {arguments.node_rank} and NNODES is {nodes}; NODE_RANK must be an '
        f'integer from 0 to {nodes - 1}, different on each machine'
    )


def _device_problem(arguments: Namespace) -> str | None:
    """Report more processes than GPUs; ``cpu`` needs no GPU."""
    processes = torchrun.determine_local_world_size(arguments.nproc_per_node)
    devices = torch.cuda.device_count()
    if arguments.nproc_per_node == 'cpu' or not 0 < devices < processes:
        return None
    return (
        f'GPUS is {processes}, and this machine has {devices}; each process needs its own GPU '
        '(an empty CUDA_VISIBLE_DEVICES= runs on the CPU)'
    )


def _script_problem(arguments: Namespace) -> str | None:
    name = arguments.training_script
    if arguments.module or Path(name).exists() or (arguments.no_python and shutil.which(name)):
        return None
    return f'script {name!r} does not exist (looked for {Path(name).resolve()})'


def _port_problem(arguments: Namespace) -> str | None:
    """Report why the first machine cannot listen on the port."""
    if arguments.standalone or arguments.node_rank != 0:
        return None
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(('', arguments.master_port))
        except OSError as error:
            return (
                f'port {arguments.master_port} cannot be listened on ({error.strerror}): another '
                'run may have it. Set PORT to another one, or leave it out on a single machine'
            )
    return None
