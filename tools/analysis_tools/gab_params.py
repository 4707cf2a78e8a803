"""Amplitude and sigma of every layer, and the Gaussian in its learned table, of a Swin or ViT.

    python tools/analysis_tools/gab_params.py CHECKPOINT [CHECKPOINT ...] --out work_dirs/gab/NAME

Reads any layout that the loader reads, with or without Gaussians of its own, and plain ViTs with
relative positions, timm's vit_relpos_* and ours. Prints a table and
writes NAME.json, NAME_layers.png (a line for each checkpoint), NAME_tables.png (learned table,
Gaussian and sum, of the last one) and, of several checkpoints of one training, NAME_training.png (a
line for each layer). The fit is that of the code of arXiv 2305.04722: the bias that the window's
central token sees, minus its minimum; five parameters, its axes are those of the image.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm
from vit_layers import is_vit, vit_layers

from mmgab.analysis.erf import GaussianSurface, fit_surface
from mmgab.analysis.plots import plot_layers, plot_tables, plot_training
from mmgab.checkpoints import Contents, read_checkpoint
from mmgab.functional import gaussian_table, relative_offsets


@dataclass(frozen=True)
class Layer:
    """The position bias of one layer.

    Attributes:
        name: Stage and block.
        table: The learned table ``(heads, 2 * Wh - 1, 2 * Ww - 1)``, in logits.
        gaussian: The Gaussian's, shaped alike; zeros where there is none.
        amplitude: Effective amplitude ``a^2`` of each head, or one for all; empty for none.
        sigma: In tokens; as many.
    """

    name: str
    table: np.ndarray
    gaussian: np.ndarray
    amplitude: list[float]
    sigma: list[float]

    def fits(self) -> dict[str, GaussianSurface | None]:
        """Gaussians fitted to the mean over heads, and to each head; None of a constant table."""
        bias = self.table + self.gaussian
        maps = {'mean': bias.mean(axis=0)} | {f'head{i}': one for i, one in enumerate(bias)}
        return {name: fit_central(values) for name, values in maps.items()}


def fit_central(table: np.ndarray) -> GaussianSurface | None:
    """Fit what the window's central token sees, minus its minimum."""
    window = tuple(side // 2 + 1 for side in table.shape)
    top, left = ((full - side) // 2 for full, side in zip(table.shape, window, strict=True))
    seen = table[top : top + window[0], left : left + window[1]]
    seen = seen - seen.min()
    return fit_surface(seen, is_turned=False) if seen.any() else None


def layers_of(contents: Contents) -> list[Layer]:
    """Every layer of a Swin, from the image on."""
    layers = []
    for name in contents.tables():
        beside = f'{name.rpartition(".")[0]}.gaussian.'
        own = {kind: contents.swin.get(f'{beside}{kind}') for kind in ('amplitude', 'sigma')}
        gaussian = {} if None in own.values() else {k: v.float() for k, v in own.items()}
        place = name.removesuffix('.attn.w_msa.relative_position_bias_table')
        table = contents.swin[name].float()
        layers.append(make_layer(place, table, contents.window(name), gaussian))
    return layers


def make_layer(
    name: str, table: Tensor, window: tuple[int, int], gaussian: Mapping[str, Tensor]
) -> Layer:
    """A layer from its table ``(T, heads)`` and its Gaussian's parameters, none where it has none.

    Args:
        name: Stage and block.
        table: The learned bias of every relative offset.
        window: Height and width, in tokens.
        gaussian: ``amplitude`` and ``sigma``, or empty.
    """
    own, amplitude, sigma = torch.zeros_like(table), [], []
    if gaussian:
        parameters = gaussian['amplitude'], gaussian['sigma']
        own = own + gaussian_table(relative_offsets(window), *parameters)
        amplitude, sigma = parameters[0].square().tolist(), parameters[1].abs().tolist()
    sides = (2 * window[0] - 1, 2 * window[1] - 1)
    return Layer(name, _as_maps(table, sides), _as_maps(own, sides), amplitude, sigma)


def read_network(checkpoint: Mapping, source: str) -> list[Layer]:
    """Every layer of a Swin, or of a plain ViT.

    Raises:
        ValueError: If the file holds neither.
    """
    if is_vit(checkpoint, source):
        return [make_layer(*layer) for layer in vit_layers(checkpoint, source)]
    return layers_of(Contents.of(checkpoint, source))


def _as_maps(values: Tensor, sides: tuple[int, int]) -> np.ndarray:
    """From a table ``(T, heads)``, of query from key, to maps over the offset of key from query."""
    return values.t().unflatten(1, sides).flip(1, 2).double().numpy()


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'checkpoints', nargs='+', help='files or URLs; of one training, in any order'
    )
    parser.add_argument('--out', type=Path, required=True, help='NAME of the files')
    parser.add_argument(
        '--trust',
        action='store_true',
        help='unpickle everything in a checkpoint, which RUNS the code that it carries',
    )
    return parser.parse_args()


def rows_of(layers: list[Layer]) -> list[dict]:
    """Plain numbers of each layer."""
    return [
        dict(
            layer=layer.name,
            amplitude=layer.amplitude,
            sigma=layer.sigma,
            fits={name: fit and asdict(fit) for name, fit in layer.fits().items()},
        )
        for layer in layers
    ]


def print_table(source: str, rows: list[dict]) -> None:
    """A line for each layer."""
    print(f'{source}\n  {"layer":<18} {"A":>7} {"sigma":>6}   fitted: sigma_x sigma_y   R^2  found')
    for row in rows:
        learned = [np.mean(row[kind]) if row[kind] else np.nan for kind in ('amplitude', 'sigma')]
        fit = row['fits']['mean']
        fitted = (
            f'{fit["sigma_x"]:15.2f} {fit["sigma_y"]:7.2f} {fit["r_squared"]:5.3f}  '
            f'{"yes" if fit["is_found"] else "no"}'
            if fit
            else f'{"constant":>15}'
        )
        print(f'  {row["layer"]:<18} {learned[0]:7.3f} {learned[1]:6.2f} {fitted}')


def draw(layers: dict[str, list[Layer]], out: Path) -> None:
    """Both pictures."""
    lines = {
        source: (
            [np.mean(layer.amplitude) if layer.amplitude else np.nan for layer in own],
            [np.mean(layer.sigma) if layer.sigma else np.nan for layer in own],
        )
        for source, own in layers.items()
    }
    plot_layers(lines, out.with_name(f'{out.name}_layers.png'))
    tables_picture(layers[list(layers)[-1]], out.with_name(f'{out.name}_tables.png'))


def tables_picture(layers: list[Layer], path: Path) -> None:
    """Learned table, Gaussian and sum of every layer."""
    rows = [
        (
            layer.name,
            [
                layer.table.mean(axis=0),
                layer.gaussian.mean(axis=0),
                (layer.table + layer.gaussian).mean(axis=0),
            ],
        )
        for layer in layers
    ]
    plot_tables(rows, ('learned table', 'Gaussian', 'their sum'), path)


def training_picture(steps: list[float], layers: list[list[Layer]], unit: str, path: Path) -> bool:
    """Amplitude and sigma over training; tells whether these are checkpoints of one network."""
    names = [[layer.name for layer in own] for own in layers]
    have_gaussians = all(layer.amplitude for own in layers for layer in own)
    if len(layers) < 2 or not have_gaussians or any(other != names[0] for other in names):
        return False
    lines = [
        ([np.mean(one.amplitude) for one in times], [np.mean(one.sigma) for one in times])
        for times in zip(*layers, strict=True)
    ]
    plot_training(steps, lines, unit, path)
    return True


def read_layers(sources: list[str], trust: bool) -> tuple[dict[str, list[Layer]], dict[str, int]]:
    """Layers of every checkpoint, and the iterations that they are from, as far as they say so.

    In the order of the iterations where all are known and differ; else as they were named.
    """
    layers, iterations = {}, {}
    for source in tqdm(sources, unit='checkpoint', disable=len(sources) < 2):
        checkpoint = read_checkpoint(source, trust=trust)  # one at a time: optimizers are large
        layers[source] = read_network(checkpoint, source)
        iteration = (checkpoint.get('meta') or {}).get('iter')
        if isinstance(iteration, int):
            iterations[source] = iteration
    if len(set(iterations.values())) == len(layers):
        return {s: layers[s] for s in sorted(layers, key=iterations.__getitem__)}, iterations
    return layers, {}


def main() -> None:
    """Read, fit, print, draw; or say in a sentence why not."""
    args = parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    try:
        layers, iterations = read_layers(args.checkpoints, args.trust)
    except (ValueError, OSError) as error:
        sys.exit(f'error: {error}')
    rows = {source: rows_of(own) for source, own in layers.items()}
    for source, own in rows.items():
        print_table(source, own)
    args.out.with_name(f'{args.out.name}.json').write_text(json.dumps(rows, indent=2) + '\n')
    draw(layers, args.out)
    written = ['.json', '_layers.png', '_tables.png']
    training = args.out.with_name(f'{args.out.name}_training.png')
    unit = 'iteration' if iterations else 'checkpoint'
    steps = sorted(iterations.values()) or list(range(1, len(layers) + 1))
    if training_picture(steps, list(layers.values()), unit, training):
        written.append('_training.png')
    print(f'Written to {args.out}: {", ".join(written)}')


if __name__ == '__main__':
    main()
