"""Measure SwinGAB beside the Swins of mmdet, mmseg, timm, torchvision and transformers.

    python tools/analysis_tools/benchmark.py --work-dir work_dirs/benchmark
    python tools/analysis_tools/benchmark.py --quick            # Swin-T, small images, 2 minutes
    python tools/analysis_tools/benchmark.py --counts-only      # no times: minutes

All have the same weights and agree on the last map of a 448 x 448 image before anything is timed.
They run in turn, round by round; a ratio is the median over rounds of a library's time by mmdet's.
On a machine with a GPU, times are CUDA's. Leaves a table on the terminal, benchmark.json and, with
times, benchmark.png.
"""

import argparse
import json
import math
import platform
import statistics
from collections.abc import Callable
from pathlib import Path

import torch
from swin_peers import LIBRARIES, Peer, build_peers

from mmgab.analysis.cost import interleaved_times, movement, paired_ratio, saved_bytes
from mmgab.analysis.plot import plot_benchmark

REFERENCE = 'mmdet'
LARGE, PAIR = (1, 3, 800, 1216), (2, 3, 512, 512)
MODES = {
    'fp32 inference 1x800x1216': (LARGE, torch.float32, False),
    'fp32 inference 2x512x512': (PAIR, torch.float32, False),
    'bf16 inference 1x800x1216': (LARGE, torch.bfloat16, False),
    'bf16 inference 2x512x512': (PAIR, torch.bfloat16, False),
    'fp32 training step 2x512x512': (PAIR, torch.float32, True),
    'bf16 training step 2x512x512': (PAIR, torch.bfloat16, True),
}
SIDES = (256, 512, 1024, 2048)


def runner(peer: Peer, x: torch.Tensor, dtype: torch.dtype, training: bool) -> Callable:
    """A forward pass of a backbone, or a whole step of training, as a call."""

    def forward() -> list[torch.Tensor]:
        with torch.autocast(x.device.type, dtype, enabled=dtype != torch.float32):
            return peer.run(x)

    def infer() -> None:
        peer.model.eval()
        with torch.inference_mode():
            forward()

    def step() -> None:
        peer.model.train()
        peer.model.zero_grad()
        sum(out.float().mean() for out in forward()).backward()

    return step if training else infer


def measure_times(peers: list[Peer], device: str, args: argparse.Namespace) -> dict:
    """Median seconds and ratios of every mode."""
    results = {}
    for title, (shape, dtype, training) in MODES.items():
        if args.quick:
            shape = (1, 3, shape[2] // 4, shape[3] // 4)
        x = torch.randn(shape, device=device)
        runs = {peer.name: runner(peer, x, dtype, training) for peer in peers}
        times = interleaved_times(runs, args.rounds, lambda line, title=title: say(title, line))
        results[title] = {
            name: dict(
                seconds=statistics.median(values), ratio=paired_ratio(values, times[REFERENCE])
            )
            for name, values in times.items()
        }
        show(title, results[title])
    return results


def measure_counts(peers: list[Peer], device: str, args: argparse.Namespace) -> dict:
    """What is counted, not timed: bytes kept for backward, operations that move data."""
    x = torch.randn((1, 3, 128, 128) if args.quick else PAIR, device=device)
    counts = {}
    for peer in peers:
        say('counting', peer.name)
        counts[peer.name] = count(peer, x)
    return counts


def count(peer: Peer, x: torch.Tensor) -> dict:
    """Bytes kept for backward, and operations that only move data, of one backbone."""
    peer.model.train()
    row = {}
    for label, dtype in (('fp32', torch.float32), ('bf16', torch.bfloat16)):
        with torch.autocast(x.device.type, dtype, enabled=label != 'fp32'):
            row[f'saved for backward, {label}'] = saved_bytes(lambda: peer.run(x), peer.model)
    outs: list[torch.Tensor] = []
    passes = {
        'forward': lambda: outs.extend(peer.run(x)),
        'backward': lambda: sum(out.mean() for out in outs).backward(),
    }
    for label, run in passes.items():
        moves = movement(run)
        row[f'moving operations, {label}'] = moves.operations
        row[f'moved, {label}'] = moves.moved
    return row


def measure_scaling(peers: list[Peer], device: str, args: argparse.Namespace) -> dict:
    """Seconds of fp32 inference against pixels, and the exponent that fits them."""
    chosen = [peer for peer in peers if peer.name in ('ours', REFERENCE)]
    sides = SIDES[:2] if args.quick else SIDES
    seconds = {peer.name: [] for peer in chosen}
    for side in sides:
        x = torch.randn(1, 3, side, side, device=device)
        runs = {peer.name: runner(peer, x, torch.float32, False) for peer in chosen}
        rounds = min(args.rounds, 3)
        times = interleaved_times(runs, rounds, lambda line, side=side: say(f'{side} px', line))
        for name, values in times.items():
            seconds[name].append(statistics.median(values))
    results = {
        name: dict(sides=list(sides), seconds=values, exponent=exponent(sides, values))
        for name, values in seconds.items()
    }
    for name, row in results.items():
        print(f'\r{name}: time grows with pixels to the power of {row["exponent"]:.3f}{"":<30}')
    return results


def exponent(sides: tuple[int, ...], seconds: list[float]) -> float:
    """Slope of log seconds against log pixels, by least squares."""
    x = [2 * math.log(side) for side in sides]
    y = [math.log(value) for value in seconds]
    mean_x, mean_y = statistics.mean(x), statistics.mean(y)
    covariance = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return covariance / sum((a - mean_x) ** 2 for a in x)


def say(title: str, line: str) -> None:
    """A line of progress, written over by the next."""
    print(f'\r{title}: {line:<40}', end='', flush=True)


def show(title: str, rows: dict) -> None:
    """One mode as a block of the table."""
    print(f'\r{title:<60}')
    for name, row in rows.items():
        print(f'  {name:<14} {row["seconds"]:9.3f} s  {row["ratio"]:6.3f} of {REFERENCE}')


def show_counts(counts: dict) -> None:
    """Counts of every library, and their ratios to the reference's."""
    print(f'\r{"counted":<60}')
    for what in counts[REFERENCE]:
        print(f'  {what}')
        for name, row in counts.items():
            is_bytes = not what.startswith('moving')
            value = f'{row[what] / 2**20:9.1f} MiB' if is_bytes else f'{row[what]:9d}    '
            print(f'    {name:<14} {value}  {row[what] / counts[REFERENCE][what]:6.3f}')


def main() -> None:
    """Build, check, measure, report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--variant', choices=['T', 'S'], help='Swin-S; with --quick Swin-T')
    parser.add_argument('--rounds', type=int, help='timed runs of each, 7 by default')
    parser.add_argument('--quick', action='store_true', help='a first look, not for the record')
    parser.add_argument(
        '--against',
        nargs='+',
        choices=list(LIBRARIES),
        default=list(LIBRARIES),
        metavar='LIBRARY',
        help=f'some of: {", ".join(LIBRARIES)}; all by default, {REFERENCE} always',
    )
    parser.add_argument(
        '--counts-only', action='store_true', help='only what is the same on every machine'
    )
    parser.add_argument('--work-dir', default='work_dirs/benchmark', help='where results go')
    args = parser.parse_args()
    args.variant = args.variant or ('T' if args.quick else 'S')
    args.rounds = args.rounds or (3 if args.quick else 7)
    work_dir = Path(args.work_dir)
    work_dir.mkdir(parents=True, exist_ok=True)

    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    machine = f'{platform.machine()}, {torch.get_num_threads()} threads, {device}'
    print(f'Swin-{args.variant}, torch {torch.__version__}, {machine}')
    peers = build_peers(args.variant, [REFERENCE, *(n for n in args.against if n != REFERENCE)])
    for peer in peers:
        peer.model.to(device)
    results = dict(
        variant=args.variant,
        torch=torch.__version__,
        machine=machine,
        rounds=args.rounds,
        quick=args.quick,
        counts=measure_counts(peers, device, args),
    )
    show_counts(results['counts'])
    if not args.counts_only:
        results['times'] = measure_times(peers, device, args)
        results['scaling'] = measure_scaling(peers, device, args)
        plot_benchmark(results['times'], results['scaling'], REFERENCE, work_dir / 'benchmark.png')
    (work_dir / 'benchmark.json').write_text(json.dumps(results, indent=2) + '\n')
    print(f'Written to {work_dir}')


if __name__ == '__main__':
    main()
