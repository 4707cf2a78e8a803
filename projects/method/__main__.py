"""Draw the figures of docs/method_in_pictures.md with the network that `make demo` trains.

python -m projects.method
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from mmgab.atomic_file import replacing
from mmgab.engine import load_config
from mmgab.functional import gaussian_table
from mmgab.models import GaussianBias
from mmgab.prediction import Predictor
from mmgab.prediction.inputs import Frame
from mmgab.reliability.checkpoint_note import last_checkpoint

NAME = 'mask_rcnn_swin_gab_nuclei'
REACH = 6  # tokens from the query to the farthest key of a window of 7


def save(figure: plt.Figure, path: Path) -> None:
    """Write a figure and close it."""
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110)
    plt.close(figure)
    print(f'Drawn: {path}')


def draw_bias(path: Path) -> None:
    """Draw the bias of a window at the start of training, and over distance for other values."""
    steps = torch.arange(-REACH, REACH + 1.0)
    offsets = torch.cartesian_prod(steps, steps)
    bias = gaussian_table(offsets, torch.ones(1), torch.full((1,), 5.0)).reshape(13, 13)
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout='constrained')
    for axis, (place, row, column) in zip(axes, (('middle', 3, 3), ('corner', 0, 0)), strict=False):
        window = bias[6 - row : 13 - row, 6 - column : 13 - column]
        image = axis.imshow(window, vmin=0, vmax=1)
        axis.plot(column, row, 'r+', markersize=12)
        axis.set(title=f'query in the {place} of a window', xticks=[], yticks=[])
    figure.colorbar(image, ax=axes[:2], label='bias (logits)')
    distances = torch.stack([torch.zeros(100), torch.linspace(0, 8.5, 100)], dim=1)
    for amplitude, sigma in ((1.0, 5.0), (1.0, 2.0), (1.5, 5.0)):
        values = gaussian_table(distances, torch.tensor([amplitude]), torch.tensor([sigma]))
        label = f'amplitude {amplitude:g}, sigma {sigma:g}'
        axes[2].plot(distances[:, 1], values.flatten(), label=label)
    axes[2].set(xlabel='distance (tokens)', ylabel='bias (logits)', title='bias over distance')
    axes[2].legend()
    save(figure, path)


def window_attention(
    model: nn.Module, inputs: dict, attention: nn.Module
) -> tuple[np.ndarray, np.ndarray]:
    """Return the attention weights of an image's windows, with the Gaussian and without.

    Returns:
        Two arrays ``(windows, N, N)``, means over heads.
    """
    seen: list[np.ndarray] = []

    def look(module: nn.Module, args: tuple) -> None:
        gaussian = module.gaussian
        amplitude = gaussian.amplitude.clone()
        for value in (amplitude, torch.zeros_like(amplitude)):
            gaussian.amplitude.copy_(value)
            weights, *_ = module.look(*args[:2])
            seen.append(weights.mean(dim=1).numpy())
        gaussian.amplitude.copy_(amplitude)

    handle = attention.register_forward_pre_hook(look)
    with torch.no_grad():
        model.test_step(dict(inputs=[inputs['inputs']], data_samples=[inputs['data_samples']]))
    handle.remove()
    return seen[0], seen[1]


def draw_window(model: nn.Module, inputs: dict, path: Path) -> None:
    """Draw one window of the image, and the weights of its middle token in the first layer."""
    block = model.backbone.stages[0].blocks[0]
    with_gaussian, without = window_attention(model, inputs, block.attn.w_msa)
    stride = model.backbone.patch_embed.patch_size[0]
    height, width = (side // stride for side in inputs['inputs'].shape[1:])
    rows, columns = -(-height // 7), -(-width // 7)
    whole = [(r, c) for r in range(rows) for c in range(columns) if 7 * r + 7 <= height
             and 7 * c + 7 <= width]  # fmt: skip
    resized = inputs['inputs'].permute(1, 2, 0).numpy()
    crops = [resized[28 * r : 28 * r + 28, 28 * c : 28 * c + 28] for r, c in whole]
    index = int(np.argmax([crop.std() for crop in crops]))  # a window with an edge in it
    maps = [weights[index, 24].reshape(7, 7) for weights in (with_gaussian, without)]
    figure, axes = plt.subplots(1, 5, figsize=(13, 3), layout='constrained')
    row, column = whole[index]
    axes[0].imshow(resized)
    corner = (28 * column, 28 * row)
    axes[0].add_patch(plt.Rectangle(corner, 28, 28, fill=False, color='tab:orange', linewidth=2))
    axes[1].imshow(crops[index])
    axes[1].plot(13.5, 13.5, 'r+', markersize=12)
    top = max(float(one.max()) for one in maps)
    for axis, one in zip(axes[2:4], maps, strict=True):
        weights = axis.imshow(one, vmin=0, vmax=top)
    figure.colorbar(weights, ax=axes[2:4], label='attention weight')
    limit = float(np.abs(maps[0] - maps[1]).max())
    change = axes[4].imshow(maps[0] - maps[1], cmap='RdBu_r', vmin=-limit, vmax=limit)
    figure.colorbar(change, ax=axes[4], label='difference')
    titles = ('image and window', 'window and query', 'with the Gaussian', 'amplitude set to 0',
              'effect of the Gaussian')  # fmt: skip
    for axis, title in zip(axes, titles, strict=True):
        axis.set(title=title, xticks=[], yticks=[])
    save(figure, path)


def draw_layers(model: nn.Module, path: Path) -> None:
    """Draw the trained amplitude and sigma of every layer."""
    layers = [module for module in model.modules() if isinstance(module, GaussianBias)]
    names = [f'{stage + 1}.{block + 1}' for stage, blocks in enumerate(model.backbone.stages)
             for block in range(len(blocks.blocks))]  # fmt: skip
    figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout='constrained')
    heights = [float(layer.amplitude**2) for layer in layers]
    sigmas = [float(layer.sigma) for layer in layers]
    for axis, values, start, title in (
        (axes[0], heights, 1.0, 'height of the Gaussian (logits)'),
        (axes[1], sigmas, 5.0, 'sigma (tokens of the layer)'),
    ):
        axis.plot(names, values, 'o-', label='trained')
        axis.axhline(start, color='gray', linestyle='--', label='initial value')
        axis.set(title=title, xlabel='stage.block')
        axis.legend()
    save(figure, path)


def main() -> None:
    """Draw the three figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--run', type=Path, default=Path('work_dirs/demo', NAME), help='work dir of a training'
    )
    parser.add_argument(
        '--images', type=Path, default=Path('data/nuclei/images/val'), help='folder; the first one'
    )
    parser.add_argument('--out', type=Path, default=Path('docs/figures'), help='folder')
    args = parser.parse_args()
    checkpoint = last_checkpoint(args.run)
    if checkpoint is None:
        parser.error(f'--run {args.run} has no checkpoint: run make demo first')
    config = load_config(str(args.run / f'{args.run.name}.py'))
    predictor = Predictor(config, str(checkpoint))
    _, inputs = predictor.prepare(Frame('a', 'a', sorted(args.images.iterdir())[0]))
    draw_bias(args.out / 'method_bias.png')
    draw_window(predictor.model, inputs, args.out / 'method_window.png')
    draw_layers(predictor.model, args.out / 'method_layers.png')


if __name__ == '__main__':
    main()
