"""Train every arm of the study on every task with every seed, and write its page.

    python -m projects.study                          resume, then write docs/study.md
    python -m projects.study --only none/0            runs whose name has that: TASK/ARM/SEED
    python -m projects.study --page                   the page alone, from the results so far
    python -m projects.study --dataset coco --gpus 8  the commands of the same study on COCO

A run is a minute on one core; the results are in docs/study.csv, one line a run, and a run whose
line is there, with the config as it is now, is not trained again. Kill it whenever you like. After
a change of the code or of the data, which a config does not show, begin with another --results.
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
    parser.add_argument('--only', default='', metavar='TEXT', help='runs whose name has that')
    parser.add_argument('--jobs', type=int, default=os.cpu_count(), help='processes of one thread')
    parser.add_argument('--results', type=absolute, default=RESULTS, help='table to go on with')
    parser.add_argument('--page', action='store_true', help='write the page, train nothing')
    parser.add_argument('--dataset', choices=['coco', 'ade20k'], help='print the plan for it')
    parser.add_argument('--gpus', type=int, default=8, help='of the plan')
    parser.add_argument('--step-seconds', type=float, default=0.5, help='of a step, for the plan')
    args = parser.parse_args()
    for name in ('jobs', 'gpus', 'step_seconds'):
        if not 0 < getattr(args, name) < math.inf:
            parser.error(f'--{name.replace("_", "-")} must be above 0, got {getattr(args, name)}')
    return args


def absolute(path: str) -> Path:
    """A path from where the command was typed."""
    return Path(path).resolve()


def make_data() -> None:
    """Make the data sets: they are the same on every run, and take seconds."""
    for name, tool in DATA.items():
        converter = ROOT / 'tools' / 'dataset_converters' / tool
        subprocess.run([sys.executable, converter, '-o', Path('data') / name], check=True)


def still_to_do(runs: list[Run], results: list[Result]) -> tuple[list[Run], list[Result]]:
    """Runs without a result, and the results that hold: of these runs, with the configs of now."""

    @cache
    def current(task: str, arm: str) -> str:
        return config_hash(next(r for r in runs if (r.task.name, r.arm) == (task, arm)).config)

    known = {run.name for run in runs}
    valid = [r for r in results if r.run in known and r.config == current(r.task, r.arm)]
    done = {result.run for result in valid}
    return [run for run in runs if run.name not in done], valid


def start_worker() -> None:
    """Give a process one thread, and end it with the one that started it, however that ends."""
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()

    def leave_with_parent() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=leave_with_parent, daemon=True).start()


def train_all(runs: list[Run], results: list[Result], path: Path, jobs: int) -> list[Result]:
    """Train runs beside each other; the table is written after each of them.

    Raises:
        RuntimeError: At the end, if a run failed; the others are done.
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
                    failures[name], told = error, repr(error)
                else:
                    results = [*results, future.result()]
                    write_results(path, results)
                    told = f'{results[-1].score:.1f}'
                minutes = (time.monotonic() - start) / 60
                left = minutes / number * (len(runs) - number)
                print(
                    f'{number}/{len(runs)}  {name}  {told}  {minutes:.0f} min, about {left:.0f} '
                    'to go',
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
    """Train what is not there yet, then write the page; or print the plan."""
    args = parse_args()
    results = read_results(args.results)
    if args.dataset:
        print_plan(args.dataset, args.gpus, args.step_seconds, results, LOGS)
        return
    os.chdir(ROOT)  # where the configs look for data
    every = list(all_runs())
    runs = [run for run in every if args.only in run.name]
    if not runs:
        sys.exit(f'no run has {args.only!r} in its name; the first is {every[0].name}')
    missing, valid = still_to_do(every, results)
    missing = [run for run in missing if args.only in run.name]
    if len(valid) < len(results):
        stale = len(results) - len(valid)
        print(f'{stale} results are of configs that have changed since: they count no longer')
    print(f'{len(runs)} runs, {len(runs) - len(missing)} done, logs in {LOGS}')
    if not args.page:
        make_data()
        valid = train_all(missing, valid, args.results, args.jobs)
    write_page(PAGE, FIGURES, valid, every)
    print(f'Written: {PAGE.relative_to(ROOT)}')


if __name__ == '__main__':
    main()
