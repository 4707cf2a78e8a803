"""Look into checkpoints of any Swin, convert them, fold the Gaussian into them or split it off.

    python tools/model_converters/convert.py inspect swin_tiny_patch4_window7_224.pth
    python tools/model_converters/convert.py import swin_tiny_patch4_window7_224.pth -o swin_t.pth
    python tools/model_converters/convert.py unfold swin_t.pth -o swin_t_gab.pth
    python tools/model_converters/convert.py fold epoch_36.pth --to mmdet -o stock.pth
    python tools/model_converters/convert.py publish epoch_36.pth

FILE is a path, a URL or timm://NAME, in any layout; see docs/checkpoints.md. Files are written
whole or not at all, never over an input. The exit code is 0 only when all that was asked for was
done.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from mmgab.checkpoints import Contents, export, fold, read_checkpoint, unfold, write_checkpoint
from mmgab.checkpoints.atomic_file import replacing
from mmgab.checkpoints.download import file_sha256
from mmgab.checkpoints.files import check_output, local_path
from mmgab.checkpoints.matching import grouped
from mmgab.checkpoints.publication import publish
from mmgab.checkpoints.summary import summary
from mmgab.checkpoints.target_layouts import STOCK_PROJECTS
from mmgab.checkpoints.transformers_config import transformers_config

_EXAMPLES = {
    'inspect': 'inspect swin_small_patch4_window7_224.pth',
    'import': 'import timm://swin_tiny_patch4_window7_224.ms_in1k -o swin_t.pth',
    'fold': 'fold work_dirs/NAME/epoch_36.pth --to timm -o swin_s.safetensors',
    'unfold': 'unfold swin_tiny_patch4_window7_224.pth -o swin_t_gab.pth --figure split.png',
    'publish': 'publish work_dirs/NAME/epoch_36.pth',
}


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    commands = parser.add_subparsers(required=True, metavar='COMMAND')

    def add(run: callable, help: str, needs_output: bool = True) -> argparse.ArgumentParser:
        name = run.__name__.removeprefix('run_')
        example = f'example:\n  python tools/model_converters/convert.py {_EXAMPLES[name]}'
        command = commands.add_parser(
            name, help=help, description=help, epilog=example, formatter_class=raw
        )
        command.set_defaults(run=run)
        command.add_argument('file', metavar='FILE', help='path, URL or timm://NAME')
        if needs_output:
            command.add_argument('-o', '--output', required=True, help='.pth or .safetensors file')
            command.add_argument('--force', action='store_true', help='replace the output')
        if run is not run_publish:
            command.add_argument(
                '--prefix', help="which Swin, of several: 'student.backbone.', say"
            )
        command.add_argument('--sha256', help='what the hash of FILE must be, or its first digits')
        command.add_argument(
            '--trust',
            action='store_true',
            help='unpickle everything, which RUNS the code that a file carries with your rights',
        )
        return command

    add(run_inspect, 'Say what is in a file: layout, variant, tables, hash.', needs_output=False)
    add(run_import, "Convert any project's Swin to the layout of mmdet, mmseg and mmgab.")
    command = add(run_fold, 'Add the Gaussian to the tables: a stock checkpoint, same function.')
    command.add_argument('--to', required=True, choices=STOCK_PROJECTS, help='whose layout')
    command.add_argument('--figure', help='picture of the tables before and after')
    command = add(run_unfold, 'Split a Gaussian off the tables: a SwinGAB, same function.')
    command.add_argument('--per-head', action='store_true', help='one Gaussian for each head')
    command.add_argument('--figure', help='picture of the tables before and after')
    command = add(
        run_publish, 'Drop what only training needs, and put the hash in the name.', False
    )
    command.add_argument('-o', '--output', help='name before the hash; by default that of FILE')
    return parser.parse_args()


def read(args: argparse.Namespace) -> Mapping:
    """Read FILE; says so first."""
    size = f' ({Path(args.file).stat().st_size / 1e6:.0f} MB)' if Path(args.file).is_file() else ''
    print(f'Reading {args.file}{size} ...', flush=True)
    return read_checkpoint(args.file, trust=args.trust, sha256=args.sha256)


def open_file(args: argparse.Namespace) -> tuple[Contents, Mapping]:
    """Read FILE and find the Swin in it; says what it found."""
    start = time.monotonic()
    checkpoint = read(args)
    contents = Contents.of(checkpoint, args.file, args.prefix)
    seconds = time.monotonic() - start
    print(f'Found a Swin in {contents.layout.name} layout ({seconds:.1f} s)', flush=True)
    return contents, checkpoint


def inputs(file: str) -> list[Path]:
    """What must not be written over: FILE, or all that is in it."""
    path = Path(file)
    return list(path.iterdir()) if path.is_dir() else [path]


def save(args: argparse.Namespace, contents: Contents, project: str, meta: Mapping) -> None:
    """Write the output; says what was left out of it."""
    start = time.monotonic()
    checkpoint, left = export(contents, project, meta)
    outputs = [Path(args.output)]
    if project == 'transformers' and not outputs[0].suffix:
        outputs = [outputs[0] / 'model.safetensors', outputs[0] / 'config.json']
    for path in outputs:
        check_output(path, inputs(args.file), args.force)
    write_checkpoint(checkpoint, outputs[0], force=args.force)
    if len(outputs) == 2:
        with replacing(outputs[1]) as temporary:
            temporary.write_text(json.dumps(transformers_config(contents), indent=2) + '\n')
    if left:
        print(f'No place in {project}, left out: {grouped(left)}')
    print(f'Wrote {args.output} in {project} layout ({time.monotonic() - start:.1f} s)')


def run_inspect(args: argparse.Namespace) -> None:
    """Print what is in a file."""
    contents, _ = open_file(args)
    if '://' not in args.file or args.file.startswith('http'):
        print(f'sha256      {file_sha256(local_path(args.file))}')
    for line in summary(contents):
        print(line, flush=True)


def run_import(args: argparse.Namespace) -> None:
    """Convert to OpenMMLab's layout."""
    contents, checkpoint = open_file(args)
    save(args, contents, 'mmgab', checkpoint.get('meta'))


def run_fold(args: argparse.Namespace) -> None:
    """Fold and convert."""
    contents, checkpoint = open_file(args)
    folded = fold(contents)
    check_figure(args)
    save(args, folded, args.to, checkpoint.get('meta'))
    draw(args, contents, folded, ('table', 'Gaussian', 'folded table'))


def run_unfold(args: argparse.Namespace) -> None:
    """Split the Gaussian off."""
    contents, checkpoint = open_file(args)
    unfolded, splits = unfold(contents, args.per_head)
    for name, split in splits.items():
        print(f'{name.removesuffix(".attn.w_msa.relative_position_bias_table"):<18}  {split}')
    check_figure(args)
    save(args, unfolded, 'mmgab', checkpoint.get('meta'))
    draw(args, contents, unfolded, ('table', 'Gaussian split off', 'remainder'))


def run_publish(args: argparse.Namespace) -> None:
    """Write a small copy with the hash in its name."""
    checkpoint = read(args)
    path = publish(checkpoint, Path(args.output or local_path(args.file)))
    print(f'Wrote {path} ({path.stat().st_size / 1e6:.0f} MB), sha256 {file_sha256(path)}')


def check_figure(args: argparse.Namespace) -> None:
    """Check that the picture, if one is wanted, takes no file's place."""
    if args.figure:
        check_output(Path(args.figure), force=args.force)


def draw(args: argparse.Namespace, before: Contents, after: Contents, titles: tuple) -> None:
    """Draw one table of each stage, the one that changes most, before and after."""
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
    print(f'Drew {args.figure}')


def main() -> int:
    """Run the command; errors that name their cause need no traceback."""
    args = parse_args()
    try:
        args.run(args)
    except (OSError, ValueError, ImportError) as error:
        print(f'{type(error).__name__}: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
