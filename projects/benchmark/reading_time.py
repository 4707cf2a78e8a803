"""Measure time and peak memory of checkpoint conversions of a Swin-S (200 MB) in subprocesses.

Example:
    python -m projects.benchmark.reading_time

Files with random weights are created in a temporary folder, which is removed at the end. Memory is
the peak resident set size of the process, including libraries.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from mmgab.checkpoints import Contents, export, write_checkpoint
from mmgab.models import SwinGAB

TOOL = 'mmgab'
SWIN_S = dict(depths=(2, 2, 18, 2))
SOURCES = ('microsoft', 'timm', 'torchvision', 'transformers')
TARGETS = ('mmdet', 'timm', 'transformers')


def make_files(folder: Path) -> dict[str, Path]:
    """Write a stock Swin-S in several layouts, and a SwinGAB."""
    paths = {name: folder / f'{name}.pth' for name in (*SOURCES, 'mmgab')}
    plain = Contents.of(SwinGAB(**SWIN_S, gab_cfg=None).state_dict(), 'a stock Swin-S')
    for name in SOURCES:
        write_checkpoint(export(plain, name)[0], paths[name])
    write_checkpoint(dict(state_dict=SwinGAB(**SWIN_S).state_dict()), paths['mmgab'])
    return paths


def measure(words: list) -> tuple[float, float]:
    """Run the converter once; return seconds and gigabytes."""
    start = time.monotonic()
    command = [sys.executable, '-W', 'ignore', '-m', TOOL, *map(str, words)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f'failed: {" ".join(command)}')
    return time.monotonic() - start, usage.ru_maxrss / 1e6


def main() -> None:
    """Measure all commands in turn, and print medians."""
    parser = argparse.ArgumentParser(
        prog='python -m projects.benchmark.reading_time',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--runs', type=int, default=5, help='runs of each command; default: 5')
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = make_files(folder)
        out = ['-o', folder / 'out.pth', '--force']
        commands = {f'import from {s}': ['import', paths[s], *out] for s in SOURCES}
        commands |= {f'fold to {t}': ['fold', paths['mmgab'], '--to', t, *out] for t in TARGETS}
        commands['unfold'] = ['unfold', paths['microsoft'], *out]
        commands['inspect'] = ['inspect', paths['mmgab']]
        found = {title: [] for title in commands}
        for run in range(runs):
            for title, words in commands.items():
                print(f'\rrun {run + 1} of {runs}: {title:<30}', end='', flush=True)
                found[title].append(measure(words))
        size = paths['mmgab'].stat().st_size / 1e6
    print(f'\r{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}')
    print(f'Swin-S, {size:.0f} MB{"":<14}  seconds (median)  GB (peak)')
    for title, results in found.items():
        seconds, memory = zip(*results, strict=True)
        print(f'{title:<28}  {statistics.median(seconds):16.1f}  {max(memory):9.2f}')


if __name__ == '__main__':
    main()
