"""Plot effective receptive fields of several networks, layers or checkpoints on one color scale.

The inputs are .npz files of mmgab erf, all measured with the same --protocol.

Examples:
    mmgab compare before.npz after.npz --out compared
    mmgab compare stage1.npz stage2.npz stage3.npz --out stages --linear

Output (NAME is --out):
    NAME.png, NAME.pdf     receptive fields side by side
    NAME_difference.png    second minus first, if there are two files with one unit each

Exit codes:
    0    all figures were written
    2    an input is invalid, or the protocols differ; one message is printed
"""

import argparse
from pathlib import Path

from mmgab.analysis.erf import Erf, load_erf
from mmgab.analysis.plots import ErfPicture, plot_erf_difference, plot_erfs

from .arguments import add_out


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument('files', nargs='+', type=Path, help='.npz files of mmgab erf')
    add_out(parser, required=True, help='path of the figures without suffix (NAME)')
    parser.add_argument(
        '--linear', action='store_true', help='linear color scale; default: logarithmic'
    )


def panels_of(erf: Erf, title: str) -> list[ErfPicture]:
    """Return a plot panel for each unit."""
    return [
        ErfPicture(f'{title}\n{unit.name}, {sums.count} images', sums.mean, erf.centre(index))
        for index, (unit, sums) in enumerate(zip(erf.units, erf.sums, strict=True))
    ]


def compare(args: argparse.Namespace) -> list[Path]:
    """Plot the receptive fields and return the paths of the figures.

    Raises:
        ValueError: If the files were measured with different protocols.
    """
    fields = {file.stem: load_erf(file) for file in args.files}
    protocols = {name: erf.protocol for name, (erf, _) in fields.items()}
    if len(set(protocols.values())) > 1:
        raise ValueError(
            f'receptive fields of different protocols are not comparable, got {protocols}. '
            'Measure all of them with the same --protocol'
        )
    heading = f'protocol {next(iter(protocols.values()))}'
    rows = {
        name: panels_of(erf, f'{meta["network"]}, {meta["layer"]}')
        for name, (erf, meta) in fields.items()
    }
    if all(len(row) == 1 for row in rows.values()):
        rows = {'centre': [ErfPicture(f'{name}\n{row[0].title}', row[0].contributions,
                                      row[0].centre) for name, row in rows.items()]}  # fmt: skip
    args.out.parent.mkdir(parents=True, exist_ok=True)
    written = [args.out.with_name(f'{args.out.name}{suffix}') for suffix in ('.png', '.pdf')]
    for path in written:
        plot_erfs(rows, heading, path, is_log=not args.linear)
    flat = [panel for row in rows.values() for panel in row]
    if len(args.files) == 2 and len(flat) == 2:
        written.append(args.out.with_name(f'{args.out.name}_difference.png'))
        plot_erf_difference(flat[0], flat[1], heading, written[-1])
    return written


def run(args: argparse.Namespace) -> None:
    """Plot the receptive fields and print the paths of the figures."""
    print(f'Written: {", ".join(map(str, compare(args)))}')
