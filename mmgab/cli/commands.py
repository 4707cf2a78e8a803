"""Train SwinGAB and ViTGAB, test them, look into them, convert and export their checkpoints.

    mmgab train mmgab::mask_rcnn_swin_s_gab_coco.py
    mmgab fold epoch_36.pth --to mmdet -o stock.pth

mmgab COMMAND --help describes a command. A user's mistake ends it with one message and exit code 2.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

from .mistakes import exit_code_of

_FORMAT = argparse.RawDescriptionHelpFormatter


class Command(NamedTuple):
    """A command of ``mmgab``.

    Attributes:
        module: Its module here, which is imported for this command alone. It has
            ``add_arguments(parser)`` and ``run(args) -> int | None``, whose result is the exit
            code; its docstring is the help.
        help: The help in a line.
        script: What runs the same without ``mmgab``, behind ``python``.
    """

    module: str
    help: str
    script: str


COMMANDS = {
    'train': Command('train', 'Train a detector, segmentor or classifier.', 'tools/train.py'),
    'test': Command('test', 'Evaluate a checkpoint.', 'tools/test.py'),
    'check': Command('check', 'Check the data of a config.', 'tools/misc/check_dataset.py'),
    'report': Command(
        'report', 'Write one HTML page about a training.', 'tools/analysis_tools/report.py'
    ),
    'erf': Command('erf', 'Measure effective receptive fields.', 'tools/analysis_tools/erf.py'),
    'compare': Command(
        'compare', 'Draw several receptive fields.', 'tools/analysis_tools/compare_erf.py'
    ),
    'gaussians': Command(
        'gaussians',
        'Show amplitude and sigma of every layer.',
        'tools/analysis_tools/gab_params.py',
    ),
    'attention': Command(
        'attention', 'Show where a trained Swin looks.', 'tools/analysis_tools/attention_maps.py'
    ),
    'export': Command(
        'export', 'Export a model to ONNX or torch.export.', 'tools/deployment/export.py'
    ),
    'fold': Command(
        'fold',
        'Add the Gaussian to the tables: a stock checkpoint, same function.',
        'tools/model_converters/convert.py fold',
    ),
    'unfold': Command(
        'unfold',
        'Split a Gaussian off the tables: a SwinGAB, same function.',
        'tools/model_converters/convert.py unfold',
    ),
    'import': Command(
        'layout_conversion',
        "Convert any project's Swin to the layout of mmdet, mmseg and mmgab.",
        'tools/model_converters/convert.py import',
    ),
    'inspect': Command(
        'inspect',
        'Say what is in a file: layout, variant, tables, hash.',
        'tools/model_converters/convert.py inspect',
    ),
    'publish': Command(
        'publish',
        'Drop what only training needs, and put the hash in the name.',
        'tools/model_converters/convert.py publish',
    ),
    'doctor': Command('doctor', 'Check this installation.', '-m mmgab.doctor'),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``mmgab COMMAND``; returns the exit code."""
    return run_one_of(COMMANDS, __doc__, argv, 'mmgab')


def run_one_of(
    names: Iterable[str],
    description: str | None,
    argv: Sequence[str] | None = None,
    program: str | None = None,
) -> int:
    """Run the command that the first word names; returns the exit code.

    Args:
        names: Commands that can be chosen.
        description: The help above them.
        argv: The words; those that were typed, by default.
        program: What was typed before them; by default a script of ``tools/``.
    """
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(program, description=description, formatter_class=_FORMAT)
    commands = parser.add_subparsers(title='commands', metavar='COMMAND', required=True)
    parsers = {
        name: commands.add_parser(name, help=COMMANDS[name].help, formatter_class=_FORMAT)
        for name in names
    }
    words = os.environ.get('COMP_LINE', '').split()[1:] or argv  # a shell that completes them
    chosen = next((word for word in words if not word.startswith('-')), None)

    def run() -> int | None:
        if chosen in parsers:
            _fill(parsers[chosen], chosen, is_script=program is None)
        _complete(parser)
        args, unknown = parser.parse_known_args(argv)
        if unknown:  # argparse's own message has the usage of all commands
            parsers.get(chosen or '', parser).error(f'unrecognized arguments: {" ".join(unknown)}')
        return args.run(args)

    return exit_code_of(run, '--debug' in argv)


def run_script(name: str) -> int:
    """Run a command as its script of ``tools/`` is typed; returns the exit code."""

    def run() -> int | None:
        parser = argparse.ArgumentParser(formatter_class=_FORMAT)
        _fill(parser, name, is_script=True)
        args = parser.parse_args()
        return args.run(args)

    return exit_code_of(run, '--debug' in sys.argv)


def _fill(parser: argparse.ArgumentParser, name: str, is_script: bool) -> None:
    """Import a command, and give a parser its help and its arguments."""
    module = importlib.import_module(f'{__package__}.{COMMANDS[name].module}')
    typed = f'python {COMMANDS[name].script}' if is_script else f'mmgab {name}'
    parser.description = (module.__doc__ or '').replace(f'mmgab {name}', typed)
    module.add_arguments(parser)
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error, too')
    parser.set_defaults(run=module.run)


def _complete(parser: argparse.ArgumentParser) -> None:
    """Complete words in a shell that argcomplete was set up in, where it is installed."""
    with suppress(ImportError):
        import argcomplete

        argcomplete.autocomplete(parser)
