"""Where a trained Swin looks: mean attention by relative offset, of every layer and head.

    mmgab attention CONFIG CHECKPOINT --images val
    mmgab attention CONFIG CHECKPOINT --images FOLDER --out NAME

Runs the backbone on real images, as it is, and once more with its Gaussians taken away and nothing
else changed: the difference is what they do. Windows that hold padding, or that a shift cuts, are
left out. Writes NAME.npz (all maps), NAME.json (numbers), NAME_layers.png (means of the heads) and
NAME_heads.png.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from mmgab.analysis.attention_maps import AttentionStatistics, watch_attention
from mmgab.analysis.plots import plot_heads, plot_weights
from mmgab.atomic_file import replacing, write_text
from mmgab.inspection.erf_images import Source, batches, check_images, chosen_images
from mmgab.inspection.erf_subject import Subject, Target, build_subject
from mmgab.models import GaussianBias

from .arguments import add_batch_size, add_images, add_optional_checkpoint, add_out, add_size
from .checkpoint_files import check_is_there
from .config_arguments import add_cfg_options, add_config, config_name

AS_IS, WITHOUT = 'as it is', 'without the Gaussian'
Maps = Mapping[str, AttentionStatistics]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_config(parser, more='; its backbone is mmgab.SwinGAB')
    add_optional_checkpoint(parser)
    add_images(parser)
    add_size(parser, (512, 512), 'of images, in pixels; 512 512 by default')
    add_batch_size(parser)
    add_out(parser, help='NAME of the files; work_dirs/attention/CONFIG')
    add_cfg_options(parser)


def look(subject: Subject, sources: Sequence[Source], batch_size: int, title: str) -> Maps:
    """Run the backbone on all images.

    Raises:
        ValueError: If none could be read, or they are smaller than a window of some layer.
    """
    refused: dict[str, str] = {}
    progress = tqdm(total=len(sources), unit='image', desc=title)
    with watch_attention(subject.network) as gathered, torch.no_grad():
        for names, images in batches(sources, batch_size, refused):
            subject.features(images)
            progress.update(len(names))
    progress.close()
    for name, reason in refused.items():
        print(f'left out: {name}: {reason}', file=sys.stderr)
    if not gathered:
        raise ValueError(f'none of the images can be read: {refused}')
    for name, statistics in gathered.items():
        if not statistics.pairs.any():
            raise ValueError(
                f'--size {subject.size[0]} {subject.size[1]}: {name} has no window without padding '
                'in such images; larger ones are needed'
            )
    return gathered


def remove_gaussians_(network: torch.nn.Module) -> bool:
    """Set amplitudes to zero; tells whether there were any."""
    gaussians = [module for module in network.modules() if isinstance(module, GaussianBias)]
    for gaussian in gaussians:
        gaussian.amplitude.zero_()
    return bool(gaussians)


def numbers(statistics: AttentionStatistics) -> dict:
    """Plain numbers of a layer."""
    height, width = statistics.pairs.shape
    dy, dx = np.ogrid[:height, :width]
    distance = torch.from_numpy(np.hypot(dy - height // 2, dx - width // 2))
    weights = statistics.offsets / statistics.offsets.sum(dim=(1, 2), keepdim=True)
    return dict(
        mean_distance=(weights * distance).sum(dim=(1, 2)).tolist(),
        share_of_the_bias=statistics.mean_share,
        pairs=int(statistics.pairs.sum()),
    )


def draw(runs: Mapping[str, Maps], out: Path) -> None:
    """Both pictures."""
    rows, heads = [], []
    for name, statistics in runs[AS_IS].items():
        layer = name.removeprefix('backbone.').removesuffix('.attn.w_msa')
        rows.append((layer, [maps[name].mean.mean(dim=0).numpy() for maps in runs.values()]))
        heads.append((layer, list(statistics.mean.numpy())))
    plot_weights(rows, list(runs), out.with_name(f'{out.name}_layers.png'))
    plot_heads(heads, out.with_name(f'{out.name}_heads.png'))


def look_twice(args: argparse.Namespace, out: Path) -> dict[str, Maps]:
    """Look with and without the Gaussians; the folder of the results is made first."""
    torch.manual_seed(args.seed)
    target = Target(
        args.config, args.checkpoint, size=tuple(args.size), options=args.cfg_options
    )  # fmt: skip
    subject = build_subject(target)
    sources = chosen_images(args.images, args.num, args.seed, subject)
    out.parent.mkdir(parents=True, exist_ok=True)
    runs = {AS_IS: look(subject, sources, args.batch_size, AS_IS)}
    if remove_gaussians_(subject.network):
        runs[WITHOUT] = look(subject, sources, args.batch_size, WITHOUT)
    return runs


def run(args: argparse.Namespace) -> None:
    """Look, write, draw."""
    check_images(args.images, args.num)
    check_is_there(args.checkpoint)
    out = args.out or Path('work_dirs', 'attention', config_name(args.config))
    runs = look_twice(args, out)
    arrays = {
        f'{when}/{name}': maps.mean.numpy()
        for when, own in runs.items()
        for name, maps in own.items()
    }
    with replacing(out.with_name(f'{out.name}.npz')) as temporary:
        np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]  # names of layers, no option
    rows = {when: {name: numbers(maps) for name, maps in own.items()} for when, own in runs.items()}
    write_text(out.with_name(f'{out.name}.json'), json.dumps(rows, indent=2) + '\n')
    draw(runs, out)
    print('mean distance of what is attended to, in tokens (mean of the heads)')
    for name in rows[AS_IS]:
        found = [f'{np.mean(own[name]["mean_distance"]):.2f} {when}' for when, own in rows.items()]
        print(f'  {name:<40} {", ".join(found)}')
    print(f'Written to {out}.npz, .json, _layers.png and _heads.png')
