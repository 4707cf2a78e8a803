"""Check that the installation can train, and print a fix for every failed check.

Examples:
    python -m mmgab.doctor
    python -m mmgab.doctor --work-dir /data/runs --json

Output: one line for each check, PASS, FAIL or NOTE. A NOTE matters to some users only.

Exit codes:
    0    no check failed
    1    at least one check failed
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
    """Run all checks and yield their outcomes; later checks depend on earlier ones."""
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
    parser.add_argument(
        '--work-dir',
        type=Path,
        default=Path('work_dirs'),
        help='folder to check for free disk space; default: work_dirs',
    )
    parser.add_argument('--json', action='store_true', help='print the outcomes as JSON')


def run(args: argparse.Namespace) -> int:
    """Run the checks, print their outcomes and return the exit code."""
    outcomes = []
    for outcome in examine(args.work_dir):
        outcomes.append(outcome)
        if not args.json:
            print(f'{outcome.status}  {outcome.name}: {outcome.found}')
            if outcome.fix:
                print(f'      fix: {outcome.fix}')
    failed = [outcome.name for outcome in outcomes if outcome.status == 'FAIL']
    if args.json:
        print(json.dumps(dict(failed=failed, outcomes=[asdict(o) for o in outcomes]), indent=2))
    else:
        print(f'{len(failed)} of {len(outcomes)} checks failed' + (': ' if failed else ''),
              ', '.join(failed))  # fmt: skip
    return int(bool(failed))


def main() -> int:
    """Run the command and return the exit code."""
    parser = argparse.ArgumentParser(
        prog='python -m mmgab.doctor',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser)
    return run(parser.parse_args())


if __name__ == '__main__':
    sys.exit(main())
