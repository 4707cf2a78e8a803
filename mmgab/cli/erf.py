"""Measure the effective receptive field (ERF) of any layer of a model.

SOURCE is a config of a detector, segmentor or classifier, or timm:NAME. Without CHECKPOINT, the
model has the weights that its training starts from. docs/erf.md defines protocols and numbers.

Examples:
    mmgab erf CONFIG CHECKPOINT --images val
    mmgab erf CONFIG CHECKPOINT --images FOLDER --layer backbone.stages.2
    mmgab erf timm:swin_tiny_patch4_window7_224 WEIGHTS --images FOLDER

Output (NAME is --out; default: work_dirs/erf/SOURCE_NAME):
    NAME.npz              mean and second moment of the contributions over the images
    NAME.json             numbers with 95 % bootstrap intervals over the images
    NAME.png, NAME.pdf    plots

Exit codes:
    0    measured, or interrupted by Ctrl-C; --resume continues from the saved NAME.npz
    2    wrong argument, config or checkpoint, or no image gave an ERF; one message is printed
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
    add_config(parser, 'source', '; or timm:NAME for a timm model')
    add_optional_checkpoint(parser)
    add_images(
        parser,
        seed_help='random seed of image sample, initial weights and bootstrap; default: 0',
    )
    add_size(parser, None, 'image size in pixels; default: 512 512, or the input size of timm')
    parser.add_argument(
        '--layer', help='module name as in named_modules(); default: last output of the backbone'
    )
    parser.add_argument(
        '--out-index', type=int, help='index of the output if the layer returns several'
    )
    parser.add_argument(
        '--unit',
        nargs='+',
        default=['centre'],
        help="units of the feature map: 'centre' (default), 'four' (mean of the four central "
        "units), 'grid:N' (N x N units) or ROW,COL ...",
    )
    parser.add_argument(
        '--protocol',
        choices=list(PROTOCOLS),
        default='gab2023',
        help='definition of the ERF; default: gab2023',
    )
    parser.add_argument(
        '--dtype', choices=list(DTYPES), default='fp32', help='bf16 uses autocast; default: fp32'
    )
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    parser.add_argument(
        '--device', type=usable_device, default=device, help='default: cuda if available, else cpu'
    )
    add_batch_size(parser)
    parser.add_argument(
        '--bootstrap', type=int, default=100, help='bootstrap samples of intervals; default: 100'
    )
    add_out(parser, help='path of the output files without suffix (NAME)')
    parser.add_argument(
        '--resume', action='store_true', help='continue the measurement of NAME.npz'
    )
    add_cfg_options(parser)


def usable_device(text: str) -> str:
    """Check that PyTorch can use a device; an argparse ``type``."""
    try:
        torch.empty(0, device=text)
    except (RuntimeError, AssertionError) as error:
        raise argparse.ArgumentTypeError(f'{text}: {str(error).splitlines()[0]}') from error
    return text


def in_precision(subject: Subject, dtype: torch.dtype, device: str) -> Subject:
    """Return the subject with images moved to its device and autocast to ``dtype``."""

    def features(images: Tensor) -> Tensor:
        with torch.autocast(torch.device(device).type, dtype, enabled=dtype != torch.float32):
            return subject.features(images.to(device))

    return replace(subject, features=features)


def measure(args: argparse.Namespace, subject: Subject) -> tuple[Erf, dict]:
    """Measure the ERF and save it; with ``--resume``, continue an earlier measurement."""
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
        print('\nInterrupted: saving the results so far; continue with --resume', file=sys.stderr)
    progress.close()
    if erf is None or not erf.sums[0].count:
        reasons = unreadable if erf is None else erf.refused
        raise ValueError(
            f'--images {args.images}: no image gave a receptive field. Reasons: {reasons}'
        )
    note(erf, unreadable)
    for name, reason in erf.refused.items():
        print(f'skipped: {name}: {reason}', file=sys.stderr)
    save_erf(erf, path, meta)
    return erf, meta


def note(erf: Erf, unreadable: dict[str, str]) -> None:
    """Add unreadable images to the images that were skipped."""
    erf.refused |= unreadable
    erf.seen += len(unreadable)
    unreadable.clear()


def resumed(path: Path, meta: dict, protocol: str) -> Erf:
    """Load an earlier measurement.

    Raises:
        ValueError: If it was measured with other settings.
    """
    erf, before = load_erf(path)
    for name, value in dict(meta, protocol=protocol).items():
        known = erf.protocol if name == 'protocol' else before.get(name)
        if known != value:
            raise ValueError(
                f'--resume: {path} was measured with {name}={known}, not {value}. '
                'Choose another --out, or run without --resume'
            )
    return erf


def numbers(erf: Erf, subject: Subject, args: argparse.Namespace) -> list[dict]:
    """Return the numbers of each unit, with bootstrap intervals."""
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
    """Plot the ERF as PNG and PDF."""
    heading = (
        f'{meta["layer"]}, protocol {erf.protocol}, {erf.sums[0].count} images ({args.images}), '
        f'{erf.size[0]} x {erf.size[1]} pixels'
    )
    panels = [
        ErfPicture(f'{meta["network"]}, {unit.name}', sums.mean, erf.centre(index))
        for index, (unit, sums) in enumerate(zip(erf.units, erf.sums, strict=True))
    ]
    for suffix in ('.png', '.pdf'):
        path = args.out.with_name(args.out.name + suffix)
        if len(panels) == 1:
            plot_erf(panels[0], heading, path)
        else:
            plot_erfs({meta['network']: panels}, heading, path)


def run(args: argparse.Namespace) -> None:
    """Measure the ERF, and write numbers and plots."""
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
