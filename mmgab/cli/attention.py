"""Plot mean attention weights by relative offset, for every layer and head of a SwinGAB.

Runs the backbone on the images twice: unchanged, and with the amplitudes of its Gaussians set to
zero. The difference is the effect of the Gaussians. Windows with padding and windows cut by the
shift are excluded.

Examples:
    mmgab attention CONFIG CHECKPOINT --images val
    mmgab attention CONFIG CHECKPOINT --images FOLDER --out NAME

Output (NAME is --out; default: work_dirs/attention/CONFIG_NAME):
    NAME.npz           attention maps of every layer and head
    NAME.json          mean attention distance and share of the bias, for every layer
    NAME_layers.png    plots of the mean over heads
    NAME_heads.png     plots of every head

Exit codes:
    0    all files were written
    2    wrong argument, config, checkpoint or image size; one message is printed
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
    add_config(parser, more='; the backbone must be mmgab.SwinGAB')
    add_optional_checkpoint(parser)
    add_images(parser)
    add_size(parser, (512, 512), 'image size in pixels; default: 512 512')
    add_batch_size(parser)
    add_out(parser, help='path of the output files without suffix (NAME)')
    add_cfg_options(parser)


def attention_maps(
    subject: Subject, sources: Sequence[Source], batch_size: int, title: str
) -> Maps:
    """Run the backbone on all images, and collect the attention statistics of every layer.

    Raises:
        ValueError: If no image is readable, or the images are smaller than a window of a layer.
    """
    refused: dict[str, str] = {}
    progress = tqdm(total=len(sources), unit='image', desc=title)
    with watch_attention(subject.network) as gathered, torch.no_grad():
        for names, images in batches(sources, batch_size, refused):
            subject.features(images)
            progress.update(len(names))
    progress.close()
    for name, reason in refused.items():
        print(f'skipped: {name}: {reason}', file=sys.stderr)
    if not gathered:
        raise ValueError(f'--images: no image is readable. Reasons: {refused}')
    for name, statistics in gathered.items():
        if not statistics.pairs.any():
            raise ValueError(
                f'--size {subject.size[0]} {subject.size[1]}: {name} has no window without padding '
                'in images of this size. Choose a larger --size'
            )
    return gathered


def remove_gaussians_(network: torch.nn.Module) -> bool:
    """Set the amplitudes of all Gaussians to zero; return False if there are no Gaussians."""
    gaussians = [module for module in network.modules() if isinstance(module, GaussianBias)]
    for gaussian in gaussians:
        gaussian.amplitude.zero_()
    return bool(gaussians)


def numbers(statistics: AttentionStatistics) -> dict:
    """Return the numbers of a layer as Python types."""
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
    """Plot the mean over heads, and every head."""
    rows, heads = [], []
    for name, statistics in runs[AS_IS].items():
        layer = name.removeprefix('backbone.').removesuffix('.attn.w_msa')
        rows.append((layer, [maps[name].mean.mean(dim=0).numpy() for maps in runs.values()]))
        heads.append((layer, list(statistics.mean.numpy())))
    plot_weights(rows, list(runs), out.with_name(f'{out.name}_layers.png'))
    plot_heads(heads, out.with_name(f'{out.name}_heads.png'))


def measure(args: argparse.Namespace, out: Path) -> dict[str, Maps]:
    """Collect attention maps with and without the Gaussians; create the output folder first."""
    torch.manual_seed(args.seed)
    target = Target(
        args.config, args.checkpoint, size=tuple(args.size), options=args.cfg_options
    )  # fmt: skip
    subject = build_subject(target)
    sources = chosen_images(args.images, args.num, args.seed, subject)
    out.parent.mkdir(parents=True, exist_ok=True)
    runs = {AS_IS: attention_maps(subject, sources, args.batch_size, AS_IS)}
    if remove_gaussians_(subject.network):
        runs[WITHOUT] = attention_maps(subject, sources, args.batch_size, WITHOUT)
    return runs


def run(args: argparse.Namespace) -> None:
    """Collect attention maps, and write arrays, numbers and plots."""
    check_images(args.images, args.num)
    check_is_there(args.checkpoint)
    out = args.out or Path('work_dirs', 'attention', config_name(args.config))
    runs = measure(args, out)
    arrays = {
        f'{when}/{name}': maps.mean.numpy()
        for when, own in runs.items()
        for name, maps in own.items()
    }
    with replacing(out.with_name(f'{out.name}.npz')) as temporary:
        np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]  # keywords are layer names
    rows = {when: {name: numbers(maps) for name, maps in own.items()} for when, own in runs.items()}
    write_text(out.with_name(f'{out.name}.json'), json.dumps(rows, indent=2) + '\n')
    draw(runs, out)
    print('Mean attention distance in tokens, averaged over heads')
    for name in rows[AS_IS]:
        found = [f'{np.mean(own[name]["mean_distance"]):.2f} {when}' for when, own in rows.items()]
        print(f'  {name:<40} {", ".join(found)}')
    print(f'Written to {out}.npz, .json, _layers.png and _heads.png')
