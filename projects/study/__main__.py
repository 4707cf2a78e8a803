"""Train every arm of the study on every task with every seed, and write docs/study.md.

Examples:
    python -m projects.study                          train the missing runs, write docs/study.md
    python -m projects.study --only none/0            only runs whose TASK/ARM/SEED contains a text
    python -m projects.study --page                   only write docs/study.md
    python -m projects.study --dataset coco --gpus 8  print the commands of the study on COCO

A run takes a minute on one core. Results are saved after every run as a row of docs/study.csv, so
that the study can be killed and resumed at any time. A run is trained again if its config changed.
Changes of code or data are not detected: start with another --results file then.
"""

import argparse
import math
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from pathlib import Path

import torch

from .grid import ROOT, Run, all_runs, config_hash
from .plan import print_plan
from .results_page import write_page
from .results_table import Result, read_results, write_results
from .train_arm import train

RESULTS = ROOT / 'docs' / 'study.csv'
PAGE = ROOT / 'docs' / 'study.md'
FIGURES = ROOT / 'docs' / 'figures'
LOGS = Path('work_dirs') / 'study'
DATA = {'digits': 'digit_scenes.py', 'nuclei': 'nuclei.py'}


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m projects.study',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--only', default='', metavar='TEXT', help='only runs whose name has TEXT')
    parser.add_argument(
        '--jobs', type=int, default=os.cpu_count(), help='parallel processes; default: CPU cores'
    )
    parser.add_argument(
        '--results', type=absolute, default=RESULTS, help='results to resume; docs/study.csv'
    )
    parser.add_argument('--page', action='store_true', help='write the page without training')
    parser.add_argument(
        '--dataset', choices=['coco', 'ade20k'], help='print the commands for this dataset'
    )
    parser.add_argument('--gpus', type=int, default=8, help='GPUs for --dataset; default: 8')
    parser.add_argument(
        '--step-seconds', type=float, default=0.5, help='seconds per step for --dataset; 0.5'
    )
    args = parser.parse_args()
    for name in ('jobs', 'gpus', 'step_seconds'):
        if not 0 < getattr(args, name) < math.inf:
            parser.error(f'--{name.replace("_", "-")} must be above 0, got {getattr(args, name)}')
    return args


def absolute(path: str) -> Path:
    """Return the absolute path, relative to the current folder."""
    return Path(path).resolve()


def make_data() -> None:
    """Generate the datasets, which are deterministic and take seconds."""
    for name, tool in DATA.items():
        converter = ROOT / 'tools' / 'dataset_converters' / tool
        subprocess.run([sys.executable, converter, '-o', Path('data') / name], check=True)


def still_to_do(runs: list[Run], results: list[Result]) -> tuple[list[Run], list[Result]]:
    """Return the runs without a valid result, and the valid results.

    A result is valid if it is of one of the runs, and the config has not changed.
    """

    @cache
    def current(task: str, arm: str) -> str:
        return config_hash(next(r for r in runs if (r.task.name, r.arm) == (task, arm)).config)

    known = {run.name for run in runs}
    valid = [r for r in results if r.run in known and r.config == current(r.task, r.arm)]
    done = {result.run for result in valid}
    return [run for run in runs if run.name not in done], valid


def start_worker() -> None:
    """Use one thread, and exit when the parent process ends for any reason."""
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()

    def leave_with_parent() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=leave_with_parent, daemon=True).start()


def train_all(runs: list[Run], results: list[Result], path: Path, jobs: int) -> list[Result]:
    """Train runs in parallel; the results are written after each run.

    Raises:
        RuntimeError: If a run failed; raised after all other runs.
    """
    start = time.monotonic()
    context = multiprocessing.get_context('spawn')
    failures = {}
    with ProcessPoolExecutor(jobs, context, start_worker) as pool:
        futures = {pool.submit(train, run, LOGS): run.name for run in runs}
        try:
            for number, future in enumerate(as_completed(futures), start=1):
                name = futures[future]
                if error := future.exception():
                    failures[name], outcome = error, repr(error)
                else:
                    results = [*results, future.result()]
                    write_results(path, results)
                    outcome = f'{results[-1].score:.1f}'
                minutes = (time.monotonic() - start) / 60
                left = minutes / number * (len(runs) - number)
                print(
                    f'{number}/{len(runs)}  {name}  {outcome}  {minutes:.0f} min, about '
                    f'{left:.0f} min left',
                    flush=True,
                )
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise
    if failures:
        first = next(iter(failures.items()))
        raise RuntimeError(f'{len(failures)} runs failed; {first[0]}: {first[1]!r}')
    return results


def main() -> None:
    """Train the missing runs and write the page, or print the plan."""
    args = parse_args()
    results = read_results(args.results)
    if args.dataset:
        print_plan(args.dataset, args.gpus, args.step_seconds, results, LOGS)
        return
    os.chdir(ROOT)  # data paths of the configs are relative to it
    every = list(all_runs())
    runs = [run for run in every if args.only in run.name]
    if not runs:
        sys.exit(f'no run has {args.only!r} in its name; the first is {every[0].name}')
    missing, valid = still_to_do(every, results)
    missing = [run for run in missing if args.only in run.name]
    if len(valid) < len(results):
        stale = len(results) - len(valid)
        print(f'{stale} results are discarded, as their configs have changed')
    print(f'{len(runs)} runs, {len(runs) - len(missing)} finished, logs in {LOGS}')
    if not args.page:
        make_data()
        valid = train_all(missing, valid, args.results, args.jobs)
    write_page(PAGE, FIGURES, valid, every)
    print(f'Written: {PAGE.relative_to(ROOT)}')


if __name__ == '__main__':
    main()
