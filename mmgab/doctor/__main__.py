"""Say whether this installation can train, and what to do if not.

    python -m mmgab.doctor [--work-dir FOLDER] [--json]

Exits with 1 where anything fails. Notes are for what only some users need.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

from . import machine, packages
from .diagnosis import Outcome, run_check


def examine(work_dir: Path) -> Iterator[Outcome]:
    """Run all checks; later ones need what earlier ones look at."""
    checks: dict[str, Callable[[], Outcome]] = {
        'Python': packages.check_python,
        'torch': packages.check_torch,
        'CUDA': machine.check_accelerator,
        **{name: partial(packages.check_openmmlab, name) for name in packages.ONEDL},
        'one line of OpenMMLab': packages.check_one_line,
        'ops of mmcv': machine.check_mmcv_ops,
        'numpy': packages.check_numpy,
        'pkg_resources': packages.check_pkg_resources,
        'reading of checkpoints': packages.check_safe_loading,
        'Adafactor': packages.check_adafactor,
        'mmgab.SwinGAB in mmdet': partial(machine.check_registry, 'mmdet'),
        'mmgab.SwinGAB in mmseg': partial(machine.check_registry, 'mmseg'),
        'forward and backward': machine.check_backbone,
        'disk': partial(machine.check_disk, work_dir),
    }
    for name, check in checks.items():
        yield run_check(name, check)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs'), help='of a run to come')
    parser.add_argument('--json', action='store_true', help='print JSON, for other programs')


def run(args: argparse.Namespace) -> int:
    """Print the outcome of every check; returns the exit code."""
    outcomes = []
    for outcome in examine(args.work_dir):
        outcomes.append(outcome)
        if not args.json:
            print(f'{outcome.status}  {outcome.name}: {outcome.found}')
            if outcome.cure:
                print(f'      {outcome.cure}')
    failed = [outcome.name for outcome in outcomes if outcome.status == 'FAIL']
    if args.json:
        print(json.dumps(dict(failed=failed, outcomes=[asdict(o) for o in outcomes]), indent=2))
    else:
        print(f'{len(failed)} of {len(outcomes)} checks failed' + (': ' if failed else ''),
              ', '.join(failed))  # fmt: skip
    return int(bool(failed))


def main() -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog='python -m mmgab.doctor',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser)
    return run(parser.parse_args())


if __name__ == '__main__':
    sys.exit(main())
