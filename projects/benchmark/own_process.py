"""Measure time and peak memory of a network in a process of its own."""

import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import nn

SMALLEST = 64  # pixels of the first image


def memory(field: str) -> float:
    """Return ``VmRSS`` or ``VmHWM`` of this process in MiB."""
    lines = Path('/proc/self/status').read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def measure(build: Callable[[int], nn.Module], size: int, is_training: bool) -> dict[str, float]:
    """Run a network in this process; return seconds and peak memory of the last run.

    Args:
        build: Function from the image size to the network.
        size: Height and width of the image, in pixels.
        is_training: Measure a training step instead of inference.
    """
    torch.manual_seed(0)

    def run(model: nn.Module, size: int) -> None:
        with torch.set_grad_enabled(is_training):
            out = model(torch.rand(1, 3, size, size))
            features = out if isinstance(out, (tuple, list)) else [out]
            if is_training:
                torch.stack([feature.square().mean() for feature in features]).sum().backward()

    run(build(SMALLEST), SMALLEST)  # loads libraries
    model = build(size)
    model.train(is_training)  # mmdet's train() returns None
    ctypes.CDLL(None).malloc_trim(0)
    before = memory('VmRSS')
    run(model, size)
    ctypes.CDLL(None).malloc_trim(0)
    os.write(os.open('/proc/self/clear_refs', os.O_WRONLY), b'5')  # resets VmHWM
    start = time.perf_counter()
    run(model, size)
    return dict(seconds=time.perf_counter() - start, mebibytes=memory('VmHWM') - before)


def measure_in_process(module: str, name: str, size: int, is_training: bool) -> dict[str, float]:
    """Have ``python -m module --measure name`` call :func:`measure` and print its result."""
    words = ['--measure', name, '--sizes', str(size)] + ['--training'] * is_training
    command = [sys.executable, '-W', 'ignore', '-m', module, *words]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f'{name} failed: {done.stderr[-2000:]}')
    return json.loads(done.stdout.splitlines()[-1])


def measure_in_turn(
    module: str, names: Iterable[str], size: int, is_training: bool, rounds: int
) -> dict[str, list[dict[str, float]]]:
    """Call :func:`measure_in_process` for all networks in turn; return the results of each."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for number in range(rounds):
        for name, results in found.items():
            print(f'{size}: round {number + 1}, {name}', file=sys.stderr)
            results.append(measure_in_process(module, name, size, is_training))
    return found
