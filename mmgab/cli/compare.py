"""Receptive fields of several networks, layers or checkpoints on one scale.

    mmgab compare before.npz after.npz --out compared

Takes what mmgab erf wrote, all measured by one protocol. Writes NAME.png and NAME.pdf; of two
files NAME_difference.png as well, the second minus the first.
"""

import argparse
from pathlib import Path

from mmgab.analysis.erf import Erf, load_erf
from mmgab.analysis.plots import ErfPicture, plot_erf_difference, plot_erfs

from .arguments import add_out


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument('files', nargs='+', type=Path, help='.npz files of mmgab erf')
    add_out(parser, required=True, help='NAME of the pictures')
    parser.add_argument('--linear', action='store_true', help='colours; logarithmic otherwise')


def pictures_of(erf: Erf, title: str) -> list[ErfPicture]:
    """A picture for each unit."""
    return [
        ErfPicture(f'{title}\n{unit.name}, {sums.count} images', sums.mean, erf.centre(index))
        for index, (unit, sums) in enumerate(zip(erf.units, erf.sums, strict=True))
    ]


def compare(args: argparse.Namespace) -> list[Path]:
    """Draw; returns what was written.

    Raises:
        ValueError: If the files were measured by different protocols.
    """
    fields = {file.stem: load_erf(file) for file in args.files}
    protocols = {name: erf.protocol for name, (erf, _) in fields.items()}
    if len(set(protocols.values())) > 1:
        raise ValueError(f'maps of different protocols are not comparable: {protocols}')
    heading = f'protocol {next(iter(protocols.values()))}'
    rows = {
        name: pictures_of(erf, f'{meta["network"]}, {meta["layer"]}')
        for name, (erf, meta) in fields.items()
    }
    if all(len(row) == 1 for row in rows.values()):
        rows = {'centre': [ErfPicture(f'{name}\n{row[0].title}', row[0].contributions,
                                      row[0].centre) for name, row in rows.items()]}  # fmt: skip
    args.out.parent.mkdir(parents=True, exist_ok=True)
    written = [args.out.with_name(f'{args.out.name}{suffix}') for suffix in ('.png', '.pdf')]
    for path in written:
        plot_erfs(rows, heading, path, is_log=not args.linear)
    flat = [picture for row in rows.values() for picture in row]
    if len(args.files) == 2 and len(flat) == 2:
        written.append(args.out.with_name(f'{args.out.name}_difference.png'))
        plot_erf_difference(flat[0], flat[1], heading, written[-1])
    return written


def run(args: argparse.Namespace) -> None:
    """Compare, and say what was written."""
    print(f'Written: {", ".join(map(str, compare(args)))}')
