"""Print and plot amplitude and sigma of every layer, and the Gaussian fitted to its total bias.

CHECKPOINT is a Swin in any supported layout, with or without Gaussians, or a ViT with relative
positions (timm's vit_relpos_* or mmgab.ViTGAB).

The fit is that of the code of arXiv 2305.04722. It fits an axis-aligned 2-D Gaussian with five
parameters to the bias of the central token of a window, minus the minimum of that bias.

Examples:
    mmgab gaussians CHECKPOINT --out work_dirs/gab/NAME
    mmgab gaussians work_dirs/NAME/epoch_*.pth --out work_dirs/gab/NAME

Output (NAME is --out; a table is printed):
    NAME.json            amplitude, sigma and fits of every layer
    NAME_layers.png      amplitude and sigma over layers, one line per checkpoint
    NAME_tables.png      learned table, Gaussian and sum, of the last checkpoint
    NAME_training.png    amplitude and sigma over training, one line per layer; only for several
                         checkpoints of one SwinGAB or ViTGAB

Exit codes:
    0    all files were written
    2    a checkpoint cannot be read or has no position bias; one message is printed
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mmgab.analysis.plots import plot_layers, plot_training
from mmgab.atomic_file import write_text
from mmgab.checkpoints import read_checkpoint
from mmgab.inspection.gaussian_layers import Layer, draw_tables, read_network

from .arguments import add_out, add_trust


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        'checkpoints', nargs='+', help='checkpoint files or URLs; those of one run in any order'
    )
    add_out(parser, required=True, help='path of the output files without suffix (NAME)')
    add_trust(parser, 'the checkpoints')


def rows_of(layers: list[Layer]) -> list[dict]:
    """Return the numbers of each layer as Python types."""
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
    """Print a table with a row for each layer."""
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
    """Plot amplitude and sigma over layers, and the tables of the last checkpoint."""
    lines = {
        source: (
            [float(np.mean(layer.amplitude or np.nan)) for layer in own],
            [float(np.mean(layer.sigma or np.nan)) for layer in own],
        )
        for source, own in layers.items()
    }
    plot_layers(lines, out.with_name(f'{out.name}_layers.png'))
    draw_tables(layers[list(layers)[-1]], out.with_name(f'{out.name}_tables.png'))


def draw_training(steps: Sequence[float], layers: list[list[Layer]], unit: str, path: Path) -> bool:
    """Plot amplitude and sigma over training; return False unless all are of one network."""
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
    """Read the layers of every checkpoint, and the iterations stored in the checkpoints.

    The order is that of the iterations if all are known and distinct, else that of ``sources``.
    """
    layers, iterations = {}, {}
    for source in tqdm(sources, unit='checkpoint', disable=len(sources) < 2):
        checkpoint = read_checkpoint(
            source, trust=trust
        )  # one at a time: optimizer states are large
        layers[source] = read_network(checkpoint, source)
        iteration = (checkpoint.get('meta') or {}).get('iter')
        if isinstance(iteration, int):
            iterations[source] = iteration
    if len(set(iterations.values())) == len(layers):
        return {s: layers[s] for s in sorted(layers, key=iterations.__getitem__)}, iterations
    return layers, {}


def run(args: argparse.Namespace) -> None:
    """Read the checkpoints, fit Gaussians, and write numbers and plots."""
    layers, iterations = read_layers(args.checkpoints, args.trust)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    rows = {source: rows_of(own) for source, own in layers.items()}
    for source, own in rows.items():
        print_table(source, own)
    write_text(args.out.with_name(f'{args.out.name}.json'), json.dumps(rows, indent=2) + '\n')
    draw(layers, args.out)
    written = ['.json', '_layers.png', '_tables.png']
    training = args.out.with_name(f'{args.out.name}_training.png')
    unit = 'iteration' if iterations else 'checkpoint'
    steps = sorted(iterations.values()) or list(range(1, len(layers) + 1))
    if draw_training(steps, list(layers.values()), unit, training):
        written.append('_training.png')
    print(f'Written to {args.out}: {", ".join(written)}')
