"""Effective receptive field of any layer of a detector, segmentor or classifier.

    mmgab erf CONFIG CHECKPOINT --images val
    mmgab erf CONFIG CHECKPOINT --images FOLDER --layer backbone.stages.2
    mmgab erf timm:swin_tiny_patch4_window7_224 WEIGHTS --images FOLDER

Writes NAME.npz (mean and second moment over images), NAME.json (numbers with 95 % intervals over
images), NAME.png and NAME.pdf. Without a checkpoint the weights are those before training. Ctrl-C
keeps what was measured; --resume goes on from it. docs/erf.md says what the numbers are.
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from mmgab.analysis.erf import (
    PROTOCOLS,
    Erf,
    describe_sums,
    load_erf,
    measure_erf,
    parse_units,
    save_erf,
)
from mmgab.analysis.plots import ErfPicture, plot_erf, plot_erfs
from mmgab.atomic_file import write_text
from mmgab.inspection.erf_images import batches, check_images, chosen_images
from mmgab.inspection.erf_subject import Subject, Target, build_subject

from .arguments import add_batch_size, add_images, add_optional_checkpoint, add_out, add_size
from .checkpoint_files import check_is_there
from .config_arguments import add_cfg_options, add_config, config_name

DTYPES = {'fp32': torch.float32, 'bf16': torch.bfloat16}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_config(parser, 'source', "; or timm:NAME, one of timm's networks")
    add_optional_checkpoint(parser)
    add_images(parser, seed_help='of the draw, weights and intervals')
    add_size(parser, None, "of images; 512 512 or timm's")
    parser.add_argument('--layer', help="as in named_modules(); the backbone's last map")
    parser.add_argument('--out-index', type=int, help='which output of a layer with several')
    parser.add_argument(
        '--unit',
        nargs='+',
        default=['centre'],
        help="'centre', 'four' for the mean of the central ones, 'grid:N', or ROW,COL ...",
    )
    parser.add_argument('--protocol', choices=list(PROTOCOLS), default='gab2023')
    parser.add_argument('--dtype', choices=list(DTYPES), default='fp32', help='bf16 by autocast')
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    parser.add_argument('--device', type=usable_device, default=device, help='of the network')
    add_batch_size(parser)
    parser.add_argument('--bootstrap', type=int, default=100, help='samples for intervals')
    add_out(parser, help='NAME of the files; work_dirs/erf/SOURCE')
    parser.add_argument('--resume', action='store_true', help='go on from NAME.npz')
    add_cfg_options(parser)


def usable_device(text: str) -> str:
    """Check a device; a ``type`` of argparse."""
    try:
        torch.empty(0, device=text)
    except (RuntimeError, AssertionError) as error:
        raise argparse.ArgumentTypeError(f'{text}: {str(error).splitlines()[0]}') from error
    return text


def in_precision(subject: Subject, dtype: torch.dtype, device: str) -> Subject:
    """The same network in the precision that is asked for, where it is."""

    def features(images: Tensor) -> Tensor:
        with torch.autocast(torch.device(device).type, dtype, enabled=dtype != torch.float32):
            return subject.features(images.to(device))

    return replace(subject, features=features)


def measure(args: argparse.Namespace, subject: Subject) -> tuple[Erf, dict]:
    """Measure, save, and go on where there is something to go on from."""
    sources = chosen_images(args.images, args.num, args.seed, subject)
    meta = dict(
        subject.about, images=args.images, num=len(sources), seed=args.seed, dtype=args.dtype,
        unit=args.unit,
    )  # fmt: skip
    path = args.out.with_name(f'{args.out.name}.npz')
    erf = start = resumed(path, meta, args.protocol) if args.resume and path.exists() else None
    first = start.seen if start else 0
    unreadable: dict[str, str] = {}
    rest = batches(sources[first:], args.batch_size, unreadable)
    measured = measure_erf(
        subject.features, rest, parse_units(args.unit), PROTOCOLS[args.protocol], start
    )
    progress = tqdm(total=len(sources), initial=first, unit='image', desc=args.out.name)
    try:
        for erf in measured:
            note(erf, unreadable)
            progress.update(erf.seen - progress.n)
    except KeyboardInterrupt:
        print('\nInterrupted: what was measured is kept; --resume goes on', file=sys.stderr)
    progress.close()
    if erf is None or not erf.sums[0].count:
        reasons = unreadable if erf is None else erf.refused
        raise ValueError(f'no image of --images {args.images} gave a receptive field: {reasons}')
    note(erf, unreadable)
    for name, reason in erf.refused.items():
        print(f'left out: {name}: {reason}', file=sys.stderr)
    save_erf(erf, path, meta)
    return erf, meta


def note(erf: Erf, unreadable: dict[str, str]) -> None:
    """Count images that could not be read among those that gave nothing."""
    erf.refused |= unreadable
    erf.seen += len(unreadable)
    unreadable.clear()


def resumed(path: Path, meta: dict, protocol: str) -> Erf:
    """What was measured before, of the same thing."""
    erf, before = load_erf(path)
    for name, value in dict(meta, protocol=protocol).items():
        known = erf.protocol if name == 'protocol' else before.get(name)
        if known != value:
            raise ValueError(f'--resume: {path} was measured with {name}={known}, not {value}')
    return erf


def numbers(erf: Erf, subject: Subject, args: argparse.Namespace) -> list[dict]:
    """For each unit its numbers, with intervals."""
    window = subject.window and (
        subject.window[0] * erf.stride[0],
        subject.window[1] * erf.stride[1],
    )
    rows = []
    for index, (unit, sums) in enumerate(zip(erf.units, erf.sums, strict=True)):
        at = erf.centre(index)
        found = describe_sums(sums, at, window, args.bootstrap, args.seed)
        rows.append(dict(unit=unit.name, centre=at, images=sums.count, numbers=found))
    return rows


def draw(erf: Erf, args: argparse.Namespace, meta: dict) -> None:
    """The picture, as PNG and PDF."""
    heading = (
        f'{meta["layer"]}, protocol {erf.protocol}, {erf.sums[0].count} images ({args.images}), '
        f'{erf.size[0]} x {erf.size[1]} pixels'
    )
    pictures = [
        ErfPicture(f'{meta["network"]}, {unit.name}', sums.mean, erf.centre(index))
        for index, (unit, sums) in enumerate(zip(erf.units, erf.sums, strict=True))
    ]
    for suffix in ('.png', '.pdf'):
        path = args.out.with_name(args.out.name + suffix)
        if len(pictures) == 1:
            plot_erf(pictures[0], heading, path)
        else:
            plot_erfs({meta['network']: pictures}, heading, path)


def run(args: argparse.Namespace) -> None:
    """Measure, describe, draw."""
    check_images(args.images, args.num)
    check_is_there(args.checkpoint)
    torch.manual_seed(args.seed)
    args.out = args.out or Path('work_dirs', 'erf', config_name(args.source))
    subject = build_subject(
        Target(
            args.source, args.checkpoint, args.layer, args.out_index,
            args.size and tuple(args.size), args.cfg_options, args.device,
        )
    )  # fmt: skip
    args.out.parent.mkdir(parents=True, exist_ok=True)
    erf, meta = measure(args, in_precision(subject, DTYPES[args.dtype], args.device))
    rows = numbers(erf, subject, args)
    file = args.out.with_name(f'{args.out.name}.json')
    about = dict(protocol=erf.protocol, size=erf.size, refused=erf.refused, **meta)
    write_text(file, json.dumps(dict(about=about, units=rows), indent=2) + '\n')
    draw(erf, args, meta)
    for row in rows:
        shown = ('fit_r_squared', 'fit_sigma_x', 'fit_sigma_y', 'r50', 'r90')
        line = ', '.join(f'{name} {row["numbers"][name]["value"]:.3g}' for name in shown)
        print(f'{row["unit"]} at {row["centre"]}: {line} ({row["images"]} images)')
    print(f'Written to {args.out}.npz, .json, .png and .pdf')
