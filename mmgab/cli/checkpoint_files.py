"""Shared arguments, reading, writing and plotting of the checkpoint commands."""

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path

from mmgab.atomic_file import write_text
from mmgab.checkpoints import Contents, export, read_checkpoint, write_checkpoint
from mmgab.checkpoints.files import check_output, local_path
from mmgab.checkpoints.matching import grouped
from mmgab.checkpoints.transformers_config import transformers_config

from .arguments import add_trust


def add_conversion(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a conversion: input, output, ``--prefix``, ``--sha256``, ``--trust``."""
    add_file(parser)
    add_output(parser)
    add_prefix(parser)
    add_safety(parser)


def add_file(parser: argparse.ArgumentParser) -> None:
    """Add FILE."""
    parser.add_argument(
        'file', metavar='FILE', help='input checkpoint: a path, a URL or timm://NAME'
    )


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add ``--output`` and ``--force``."""
    parser.add_argument('-o', '--output', required=True, help='output file, .pth or .safetensors')
    parser.add_argument(
        '--force', action='store_true', help='overwrite the output file if it exists'
    )


def add_prefix(parser: argparse.ArgumentParser) -> None:
    """Add ``--prefix``."""
    parser.add_argument(
        '--prefix',
        help="prefix of the Swin's tensor names if FILE has several Swins, such as "
        "'student.backbone.'",
    )


def add_safety(parser: argparse.ArgumentParser) -> None:
    """Add ``--sha256`` and ``--trust``, which control the verification of FILE."""
    parser.add_argument(
        '--sha256', help='expected SHA-256 of FILE, complete or its first digits; verified first'
    )
    add_trust(parser, 'FILE')


def add_figure(parser: argparse.ArgumentParser) -> None:
    """Add ``--figure``."""
    parser.add_argument('--figure', help='plot the tables before and after to this image file')


def check_is_there(checkpoint: str | None) -> None:
    """Check that a checkpoint exists before a model is built.

    Raises:
        FileNotFoundError: If it does not exist. URLs are not checked here.
    """
    if checkpoint is not None and '://' not in checkpoint:
        local_path(checkpoint)


def read(args: argparse.Namespace) -> Mapping:
    """Print the file and its size, then read it."""
    size = f' ({Path(args.file).stat().st_size / 1e6:.0f} MB)' if Path(args.file).is_file() else ''
    print(f'Reading {args.file}{size} ...', flush=True)
    return read_checkpoint(args.file, trust=args.trust, sha256=args.sha256)


def open_file(args: argparse.Namespace) -> tuple[Contents, Mapping]:
    """Read FILE, find the Swin in it, and print its layout."""
    start = time.monotonic()
    checkpoint = read(args)
    contents = Contents.of(checkpoint, args.file, args.prefix)
    seconds = time.monotonic() - start
    print(f'Found a Swin in {contents.layout.name} layout ({seconds:.1f} s)', flush=True)
    return contents, checkpoint


def output_paths(args: argparse.Namespace, project: str) -> list[Path]:
    """Return the output files; for transformers, a folder with weights and config."""
    path = Path(args.output)
    if project == 'transformers' and not path.suffix:
        return [path / 'model.safetensors', path / 'config.json']
    return [path]


def check_outputs(args: argparse.Namespace, project: str) -> None:
    """Check, before the input is read, that no output overwrites an existing or input file.

    Raises:
        FileExistsError: If an output exists (without ``--force``) or is an input.
    """
    file = Path(args.file)
    inputs = list(file.iterdir()) if file.is_dir() else [file]
    for path in output_paths(args, project):
        check_output(path, inputs, args.force)
    if getattr(args, 'figure', None):
        check_output(Path(args.figure), inputs, args.force)


def save(args: argparse.Namespace, contents: Contents, project: str, meta: Mapping | None) -> None:
    """Write the output, and print tensors that the target layout does not support."""
    start = time.monotonic()
    checkpoint, left = export(contents, project, meta)
    weights, *description = output_paths(args, project)
    write_checkpoint(checkpoint, weights, force=args.force)
    for path in description:
        write_text(path, json.dumps(transformers_config(contents), indent=2) + '\n')
    if left:
        print(f'Not written, as the {project} layout does not have them: {grouped(left)}')
    print(f'Wrote {args.output} in {project} layout ({time.monotonic() - start:.1f} s)')


def draw(args: argparse.Namespace, before: Contents, after: Contents, titles: tuple) -> None:
    """Plot the table of each stage that changes most, before and after."""
    if not args.figure:
        return
    from mmgab.analysis.plots import plot_tables

    rows = []
    tables = [{n: c.swin[n].float() for n in before.tables()} for c in (before, after)]
    changes = {name: tables[1][name] - tables[0][name] for name in tables[0]}
    for stage in dict.fromkeys(name.split('.')[1] for name in changes):
        inside = [name for name in changes if name.split('.')[1] == stage]
        name = max(inside, key=lambda n: float(changes[n].abs().max()))
        height, width = before.window(name)
        grid = (2 * height - 1, 2 * width - 1)
        maps = (tables[0][name], changes[name].abs(), tables[1][name])
        rows.append((name.partition('.attn')[0], [m.mean(dim=1).view(grid).numpy() for m in maps]))
    plot_tables(rows, titles, Path(args.figure))
    print(f'Wrote {args.figure}')
