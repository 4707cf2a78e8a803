"""Benchmark SwinGAB against the Swins of mmdet, mmseg, timm, torchvision and transformers.

All models have the same weights, and their last feature maps of a 448 x 448 image are compared
before the timing. The models are timed in turn, round by round. A ratio is the median over rounds
of the time of a model divided by that of mmdet. The GPU is used if there is one.

Examples:
    python -m projects.benchmark                  # Swin-S, all sections, an hour
    python -m projects.benchmark --quick          # Swin-T, small images, 2 minutes
    python -m projects.benchmark --only counts    # counts that do not depend on the machine

Output in --work-dir: benchmark.json (numbers), benchmark.md (tables) and benchmark.png (times).
Every section is saved when it is done, and added to earlier results of this network and machine.
"""

import argparse
import json
import platform
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from mmgab.analysis.plots import plot_benchmark
from mmgab.atomic_file import write_text

from . import sections
from .detector import measure_detector
from .gpu import measure_gpu
from .swin_peers import LIBRARIES, REFERENCE, build_peers
from .timings import report

SECTIONS: dict[str, Callable] = {
    'counts': sections.measure_counts,
    'geometry': sections.measure_geometry,
    'inference': sections.measure_inference,
    'training': sections.measure_training,
    'gaussian': sections.measure_gaussian,
    'selective': sections.measure_selective,
    'scaling': sections.measure_scaling,
    'detector': measure_detector,
    'onnx': sections.measure_onnx,
    'compiled': sections.measure_compiled,
    'gpu': measure_gpu,
}
ON_CPU = tuple(name for name in SECTIONS if name != 'gpu')
QUICK = ('counts', 'geometry', 'inference', 'training', 'scaling')


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m projects.benchmark',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--variant', choices=['T', 'S'], help='default: S; T with --quick')
    parser.add_argument('--rounds', type=int, help='timed rounds; default: 7, 3 with --quick')
    parser.add_argument(
        '--quick', action='store_true', help='small images and fewer sections; less accurate'
    )
    parser.add_argument(
        '--against',
        nargs='+',
        choices=list(LIBRARIES),
        default=list(LIBRARIES),
        metavar='LIBRARY',
        help=f'libraries to compare with: {", ".join(LIBRARIES)}; default: all; {REFERENCE} is '
        'always included',
    )
    parser.add_argument(
        '--only',
        nargs='+',
        choices=list(SECTIONS),
        metavar='SECTION',
        help=f'sections to run: {", ".join(SECTIONS)}; default: all but gpu',
    )
    parser.add_argument(
        '--work-dir',
        default='work_dirs/benchmark',
        help='output folder; default: work_dirs/benchmark',
    )
    args = parser.parse_args()
    args.variant = args.variant or ('T' if args.quick else 'S')
    args.rounds = args.rounds or (3 if args.quick else 7)
    args.only = args.only or (QUICK if args.quick else list(ON_CPU))
    return args


def conditions(args: argparse.Namespace, device: str) -> dict:
    """Return network and machine, which the results depend on in addition to versions."""
    capability = torch.backends.cpu.get_cpu_capability()
    return dict(
        network=f'Swin-{args.variant}{", small images" if args.quick else ""}',
        machine=f'{platform.machine()} {capability}, {torch.get_num_threads()} threads, {device}',
    )


def versions() -> dict[str, str]:
    """Return the versions of all imported libraries."""
    libraries = ('torch', *LIBRARIES, 'onnxruntime')
    return {name: sys.modules[name].__version__ for name in libraries if name in sys.modules}


def results_so_far(file: Path, conditions: dict) -> dict:
    """Load earlier results of the same conditions and versions, or start from scratch."""
    known = json.loads(file.read_text()) if file.exists() else {}
    is_same = all(known.get(key) == value for key, value in conditions.items())
    known_versions = known.get('versions', {})
    if is_same and all(known_versions.get(name, v) == v for name, v in versions().items()):
        return known
    return conditions | dict(versions={})


def headline(results: dict) -> str:
    """Format the conditions in one line."""
    versions = ', '.join(f'{name} {version}' for name, version in results['versions'].items())
    return f'{results["network"]} on {results["machine"]}: {versions}.'


def main() -> None:
    """Build the models, compare their outputs, run the sections and write the results."""
    args = parse_args()
    if 'gpu' in args.only and not torch.cuda.is_available():
        print('no GPU: the section gpu is skipped')
        args.only = [name for name in args.only if name != 'gpu']
        if not args.only:
            return
    work_dir = Path(args.work_dir)
    work_dir.mkdir(parents=True, exist_ok=True)
    file = work_dir / 'benchmark.json'
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    peers = build_peers(args.variant, [REFERENCE, *(n for n in args.against if n != REFERENCE)])
    for peer in peers:
        peer.model.to(device)
    results = results_so_far(file, conditions(args, device))
    results['versions'] |= versions()
    print(f'{headline(results)}\n')
    for name in args.only:
        results[name] = SECTIONS[name](peers, device, args)
        results['versions'] |= versions()
        print(f'\r{"":<70}\n{report(name, results[name])}')
        write_text(file, json.dumps(results, indent=2) + '\n')
        done = [report(name, results[name]) for name in SECTIONS if name in results]
        write_text(work_dir / 'benchmark.md', '\n'.join([f'{headline(results)}\n', *done]))
    if {'inference', 'training', 'scaling'} <= set(results):
        picture = work_dir / 'benchmark.png'
        times = results['inference'] | results['training']
        plot_benchmark(times, results['scaling'], REFERENCE, picture)
    print(f'Written to {work_dir}')


if __name__ == '__main__':
    main()
