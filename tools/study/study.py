"""Train every arm of the study on every task with every seed, and write its page.

    python tools/study/study.py                    go on where it stopped, then docs/study.md
    python tools/study/study.py --only none/0      runs whose name has that: TASK/ARM/SEED
    python tools/study/study.py --page             the page alone, from the results so far

A run is a minute on one core; the results are in docs/study.csv, one line a run, and a run whose
line is there, with the config as it is now, is not trained again. Kill it whenever you like.
"""

import argparse
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import torch
from grid import ROOT, Run, all_runs, config_hash
from results import Result, read_results, write_results
from train_arm import train

RESULTS = ROOT / 'docs' / 'study.csv'
LOGS = ROOT / 'work_dirs' / 'study'


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--only', default='', metavar='TEXT', help='runs whose name has that')
    parser.add_argument(
        '--jobs', type=int, default=os.cpu_count(), help='processes; one thread each'
    )
    parser.add_argument('--results', type=Path, default=RESULTS, help='table to go on with')
    parser.add_argument('--page', action='store_true', help='write the page, train nothing')
    args = parser.parse_args()
    if args.jobs < 1:
        parser.error(f'--jobs must be at least 1, got {args.jobs}')
    return args


def split_by_config(runs: list[Run], results: list[Result]) -> tuple[list[Run], list[Result]]:
    """Runs that are still to do, and results that hold: those of the configs as they are now."""
    hashes = {run.name: config_hash(run.config) for run in runs}
    valid = [r for r in results if hashes.get(r.run, r.config) == r.config]
    done = {result.run for result in valid}
    return [run for run in runs if run.name not in done], valid


def train_all(runs: list[Run], results: list[Result], path: Path, jobs: int) -> list[Result]:
    """Train runs beside each other; the table is written after each of them."""
    start = time.monotonic()
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(jobs, context, torch.set_num_threads, (1,)) as pool:
        futures = [pool.submit(train, run, LOGS) for run in runs]
        try:
            for number, future in enumerate(as_completed(futures), start=1):
                result = future.result()
                results = [*results, result]
                write_results(path, results)
                minutes = (time.monotonic() - start) / 60
                print(
                    f'{number}/{len(runs)}  {result.run}  {result.score:.1f}  '
                    f'{minutes:.0f} min, about {minutes / number * (len(runs) - number):.0f} to go',
                    flush=True,
                )
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return results


def main() -> None:
    """Train what is not there yet, then write the page."""
    args = parse_args()
    os.chdir(ROOT)  # where the configs look for data
    runs = [run for run in all_runs() if args.only in run.name]
    if not runs:
        sys.exit(f'no run has {args.only!r} in its name; the first is {next(all_runs()).name}')
    results = read_results(args.results)
    missing, valid = split_by_config(runs, results)
    stale = len(results) - len(valid)
    if stale:
        print(f'{stale} results are of configs that have changed since: trained again')
    print(f'{len(runs)} runs, {len(runs) - len(missing)} done, logs in {LOGS.relative_to(ROOT)}')
    if not args.page:
        train_all(missing, valid, args.results, args.jobs)


if __name__ == '__main__':
    main()
