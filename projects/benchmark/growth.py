"""Measure how time and peak memory of Swin-S and ViT-S grow with the area of the image.

Examples:
    python -m projects.benchmark.growth                      # 256 to 1024 pixels, 20 minutes
    python -m projects.benchmark.growth --sizes 256 512 --rounds 1

One square image, single precision. Each measurement is a process of its own, see
:mod:`projects.benchmark.global_attention`. The exponent is that of the growth in pixels between the
two largest images: 1 is linear.
"""

import argparse
import json
import math
import statistics
from collections.abc import Callable

from torch import nn

from mmgab.models import SwinGAB
from projects.markdown import markdown_table

from .global_attention import NETWORKS as VITS
from .own_process import measure, measure_in_turn
from .swin_peers import VARIANTS

MODULE = 'projects.benchmark.growth'


def mmdet_swin(size: int) -> nn.Module:
    """Build MMDetection's Swin-S."""
    from mmdet.models.backbones.swin import SwinTransformer

    return SwinTransformer(**VARIANTS['S'])


def timm_swin(size: int) -> nn.Module:
    """Build timm's Swin-S with its feature maps."""
    import timm

    name = 'swin_small_patch4_window7_224'
    return timm.create_model(name, features_only=True, strict_img_size=False, img_size=448)


NETWORKS: dict[str, Callable[[int], nn.Module]] = {
    'Swin-S, SwinGAB': lambda size: SwinGAB(**VARIANTS['S']),
    'Swin-S, mmdet': mmdet_swin,
    'Swin-S, timm': timm_swin,
    'ViT-S, ViTGAB with a table and the Gaussian': VITS['table'],
    'ViT-S, ViTGAB without a bias': VITS['none'],
    'ViT-S, timm vit_relpos': VITS['timm-relpos'],
}


def report(results: dict[str, dict[int, dict[str, float]]], title: str) -> str:
    """Format seconds and peak memory of each network and size."""
    rows = []
    for name, of_size in results.items():
        *_, previous, last = of_size
        cells = [f'{f["seconds"]:.2f} s, {f["mebibytes"]:.0f} MiB' for f in of_size.values()]
        pixels = math.log((last / previous) ** 2)
        exponents = (
            math.log(of_size[last][what] / of_size[previous][what]) / pixels
            for what in ('seconds', 'mebibytes')
        )
        rows.append([name, *cells, ', '.join(f'{exponent:.2f}' for exponent in exponents)])
    sizes = [f'{size}x{size}' for size in next(iter(results.values()))]
    return markdown_table([title, *sizes, 'exponents of time, memory'], rows)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog=f'python -m {MODULE}',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sizes = [256, 512, 1024]
    parser.add_argument('--sizes', type=int, nargs='+', default=sizes, help=f'default: {sizes}')
    parser.add_argument('--rounds', type=int, default=2, help='default: 2')
    parser.add_argument('--only', nargs='+', choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument('--measure', choices=list(NETWORKS), help=argparse.SUPPRESS)
    parser.add_argument('--training', action='store_true', help='measure training steps alone')
    args = parser.parse_args()
    if not args.measure and len(set(args.sizes)) < 2:
        parser.error('--sizes: at least two sizes are needed')
    return args


def main() -> None:
    """Measure inference and training steps and print tables."""
    args = parse_args()
    if args.measure:
        print(json.dumps(measure(NETWORKS[args.measure], args.sizes[0], args.training)))
        return
    for is_training in (True,) if args.training else (False, True):
        results: dict[str, dict[int, dict[str, float]]] = {name: {} for name in args.only}
        for size in sorted(set(args.sizes)):
            found = measure_in_turn(MODULE, args.only, size, is_training, args.rounds)
            for name, ones in found.items():
                results[name][size] = {
                    what: statistics.median(one[what] for one in ones) for what in ones[0]
                }
        print(report(results, 'training step' if is_training else 'inference'), flush=True)


if __name__ == '__main__':
    main()
