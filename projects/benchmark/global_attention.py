"""Measure time and peak memory of global attention with a position bias in a plain ViT-S.

Examples:
    python -m projects.benchmark.global_attention                       # 1024 x 1024, 15 minutes
    python -m projects.benchmark.global_attention --sizes 512 1024 1536 --only gaussian

Each measurement is a process of its own, and processes run in turn, round by round. A process runs
a small image, then one of the size twice, and measures the last run. Times are medians of the
rounds; ratios are medians of each round's ratio to the network without a bias. Memory is the peak
resident set size during the last run minus the size before the first of them, without weights. One
image, 12 blocks with global attention.
"""

import argparse
import json
import math
import statistics
from collections.abc import Callable

from torch import Tensor, nn

from mmgab.layers.grid_attention import GridMSA
from mmgab.models import ViTGAB
from projects.markdown import markdown_table

from .own_process import measure, measure_in_turn

BASELINE = 'none'
MODULE = 'projects.benchmark.global_attention'


class AllPairsMSA(GridMSA):
    """Attention with the bias of all pairs, as mmgab 0.1.0 computed it."""

    def position_bias(
        self, window_size: tuple[int, int] | None = None, like: Tensor | None = None
    ) -> Tensor:
        """Compute the bias of all pairs, see :meth:`GridMSA.position_bias`."""
        return super().position_bias(window_size, like)


def vit_gab(size: int, **arguments: object) -> nn.Module:
    """Build our ViT-S; only the last block's output is returned."""
    settings: dict = dict(gab_cfg=None, rel_pos_cfg=None, layer_scale=None, use_abs_pos_embed=False)
    return ViTGAB(img_size=size, out_indices=(11,), **(settings | arguments))


def all_pairs(size: int) -> nn.Module:
    """Build our ViT-S with a table and the Gaussian, expanded to all pairs."""
    model = vit_gab(size, gab_cfg={}, rel_pos_cfg=dict(type='table'))
    for block in model.blocks:
        block.attn.__class__ = AllPairsMSA
    return model


def timm_vit(size: int, name: str) -> nn.Module:
    """Build timm's ViT-S; its features before the head are computed."""
    import timm

    model = timm.create_model(name, img_size=size, num_classes=0)
    model.forward = model.forward_features
    return model


def decomposed(size: int) -> nn.Module:
    """Build timm's ViT with ViTDet's decomposed positions (arXiv 2203.16527), global everywhere."""
    from timm.models.vision_transformer_sam import VisionTransformerSAM

    model = VisionTransformerSAM(
        img_size=size, embed_dim=384, num_heads=6, use_abs_pos=False, use_rel_pos=True,
        window_size=0, global_attn_indexes=tuple(range(12)), neck_chans=0, num_classes=0,
    )  # fmt: skip
    model.forward = model.forward_features
    return model


NETWORKS: dict[str, Callable[[int], nn.Module]] = {
    BASELINE: vit_gab,
    'gaussian': lambda size: vit_gab(size, gab_cfg={}),
    'table': lambda size: vit_gab(size, gab_cfg={}, rel_pos_cfg=dict(type='table')),
    'mlp': lambda size: vit_gab(size, gab_cfg={}, rel_pos_cfg=dict(type='mlp', hidden=128)),
    'gates': lambda size: vit_gab(size, gab_cfg={}, gpsa_cfg={}),
    'all-pairs': all_pairs,
    'timm-none': lambda size: timm_vit(size, 'vit_small_patch16_224'),
    'timm-relpos': lambda size: timm_vit(size, 'vit_relpos_small_patch16_224'),
    'timm-decomposed': decomposed,
}


def growth(results: dict[int, dict[str, dict]], name: str) -> float:
    """Return the exponent, in tokens, of memory over that without a bias plus its own attention."""
    sizes = sorted(results)
    first, last = (results[size][name]['mebibytes'] for size in (sizes[0], sizes[-1]))
    return math.log(last / first) / math.log((sizes[-1] / sizes[0]) ** 2)


def report(results: dict[int, dict[str, dict]], title: str) -> str:
    """Format the results of one mode."""
    rows = []
    for size, of_size in results.items():
        base = of_size[BASELINE]
        for name, found in of_size.items():
            pairs = zip(found['times'], base['times'], strict=True)
            ratio = statistics.median(one / other for one, other in pairs)
            share = found['mebibytes'] / base['mebibytes']
            seconds = statistics.median(found['times'])
            rows.append([
                str(size), name, f'{seconds:.2f}', f'{ratio:.2f}', f'{found["mebibytes"]:.0f}',
                f'{share:.2f}',
            ])  # fmt: skip
    header = ['image', 'bias', 'seconds', 'ratio', 'peak MiB', 'ratio']
    text = f'{title}\n\n{markdown_table(header, rows)}'
    if len(results) > 1:
        exponents = (f'{name} {growth(results, name):.2f}' for name in next(iter(results.values())))
        text += f'\nMemory grows with tokens to the power of: {", ".join(exponents)}\n'
    return text


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog=f'python -m {MODULE}',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--sizes', type=int, nargs='+', default=[1024], help='default: 1024')
    parser.add_argument('--rounds', type=int, default=3, help='default: 3')
    parser.add_argument('--only', nargs='+', choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument('--measure', choices=list(NETWORKS), help=argparse.SUPPRESS)
    parser.add_argument('--training', action='store_true', help='measure training steps alone')
    return parser.parse_args()


def main() -> None:
    """Measure inference and training steps and print tables."""
    args = parse_args()
    if args.measure:
        print(json.dumps(measure(NETWORKS[args.measure], args.sizes[0], args.training)))
        return
    names = list(dict.fromkeys((BASELINE, *args.only)))
    for is_training in (True,) if args.training else (False, True):
        results: dict[int, dict[str, dict]] = {}
        for size in args.sizes:
            found = measure_in_turn(MODULE, names, size, is_training, args.rounds)
            results[size] = {
                name: dict(
                    times=[one['seconds'] for one in ones],
                    mebibytes=statistics.median(one['mebibytes'] for one in ones),
                )
                for name, ones in found.items()
            }
        print(report(results, 'Training step' if is_training else 'Inference'), flush=True)


if __name__ == '__main__':
    main()
