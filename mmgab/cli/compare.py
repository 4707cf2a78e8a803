"""Receptive fields of several networks, layers or checkpoints on one scale.

    python tools/analysis_tools/compare_erf.py before.npz after.npz --out compared

Takes what erf.py wrote, all measured by one protocol. Writes NAME.png and NAME.pdf; of two files
NAME_difference.png as well, the second minus the first.
"""

import argparse
import sys
from pathlib import Path

from mmgab.analysis.erf import Erf, load_erf
from mmgab.analysis.plots import ErfPicture, plot_erf_difference, plot_erfs


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('files', nargs='+', type=Path, help='.npz files of erf.py')
    parser.add_argument('--out', type=Path, required=True, help='NAME of the pictures')
    parser.add_argument('--linear', action='store_true', help='colours; logarithmic otherwise')
    return parser.parse_args()


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
    written = [args.out.with_name(f'{args.out.name}{suffix}') for suffix in ('.png', '.pdf')]
    for path in written:
        plot_erfs(rows, heading, path, is_log=not args.linear)
    flat = [picture for row in rows.values() for picture in row]
    if len(args.files) == 2 and len(flat) == 2:
        written.append(args.out.with_name(f'{args.out.name}_difference.png'))
        plot_erf_difference(*flat, heading, written[-1])
    return written


def main() -> None:
    """Compare, or say in a sentence why not."""
    args = parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    try:
        written = compare(args)
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f'error: {error}')
    print(f'Written: {", ".join(map(str, written))}')


if __name__ == '__main__':
    main()
