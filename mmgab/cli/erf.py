"""Effective receptive field of any layer of a detector, segmentor or classifier.

    python tools/analysis_tools/erf.py CONFIG CHECKPOINT --images val
    python tools/analysis_tools/erf.py CONFIG CHECKPOINT --images FOLDER --layer backbone.stages.2
    python tools/analysis_tools/erf.py timm:swin_tiny_patch4_window7_224 WEIGHTS --images FOLDER

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
from mmengine.config import DictAction
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
from mmgab.inspection.erf_images import batches, chosen_images
from mmgab.inspection.erf_subject import Subject, Target, build_subject

DTYPES = {'fp32': torch.float32, 'bf16': torch.bfloat16}


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', help='config file, or timm:NAME')
    parser.add_argument('checkpoint', nargs='?', help='its weights; none: as before training')
    parser.add_argument(
        '--images', required=True, help="a folder, 'val' for the config's own, or 'noise'"
    )
    parser.add_argument('--num', type=int, help='how many images, drawn by the seed; all')
    parser.add_argument('--seed', type=int, default=0, help='of the draw, weights and intervals')
    parser.add_argument(
        '--size',
        nargs=2,
        type=int,
        metavar=('HEIGHT', 'WIDTH'),
        help="of images; 512 512 or timm's",
    )
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
    parser.add_argument(
        '--device', default='cuda' if torch.cuda.is_available() else 'cpu', help='of the network'
    )
    parser.add_argument('--batch-size', type=int, default=4, help='at least 1')
    parser.add_argument('--bootstrap', type=int, default=100, help='samples for intervals')
    parser.add_argument('--out', type=Path, help='NAME of the files; work_dirs/erf/SOURCE')
    parser.add_argument('--resume', action='store_true', help='go on from NAME.npz')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='override the config')
    args = parser.parse_args()
    name = args.source.replace(':', '_').replace('/', '_') if ':' in args.source else args.source
    args.out = args.out or Path('work_dirs', 'erf', Path(name).stem)
    args.size = args.size and tuple(args.size)
    if args.batch_size < 1:
        parser.error(f'--batch-size must be at least 1, got {args.batch_size}')
    try:
        torch.empty(0, device=args.device)
    except (RuntimeError, AssertionError) as error:
        parser.error(f'--device {args.device}: {str(error).splitlines()[0]}')
    return args


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
    window = subject.window and tuple(
        w * s for w, s in zip(subject.window, erf.stride, strict=True)
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


def main() -> None:
    """Measure, describe, draw; or say in a sentence why not."""
    args = parse_args()
    torch.manual_seed(args.seed)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    try:
        subject = build_subject(
            Target(
                args.source, args.checkpoint, args.layer, args.out_index, args.size,
                args.cfg_options, args.device,
            )
        )  # fmt: skip
        erf, meta = measure(args, in_precision(subject, DTYPES[args.dtype], args.device))
        rows = numbers(erf, subject, args)
    except (ValueError, OSError) as error:
        sys.exit(f'error: {error}')
    file = args.out.with_name(f'{args.out.name}.json')
    about = dict(protocol=erf.protocol, size=erf.size, refused=erf.refused, **meta)
    file.write_text(json.dumps(dict(about=about, units=rows), indent=2) + '\n')
    draw(erf, args, meta)
    for row in rows:
        shown = ('fit_r_squared', 'fit_sigma_x', 'fit_sigma_y', 'r50', 'r90')
        line = ', '.join(f'{name} {row["numbers"][name]["value"]:.3g}' for name in shown)
        print(f'{row["unit"]} at {row["centre"]}: {line} ({row["images"]} images)')
    print(f'Written to {args.out}.npz, .json, .png and .pdf')


if __name__ == '__main__':
    main()
