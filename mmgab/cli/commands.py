"""Train, evaluate, apply, inspect, convert and export SwinGAB and ViTGAB models.

Examples:
    mmgab train mmgab::mask_rcnn_swin_s_gab_coco.py
    mmgab test CONFIG CHECKPOINT
    mmgab fold epoch_36.pth --to mmdet -o stock.pth

mmgab COMMAND --help shows the arguments, outputs and exit codes of a command. A wrong argument,
file or config ends every command with one error message and exit code 2.
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
        module: Module in this package, imported only if the command is used. It defines
            ``add_arguments(parser)`` and ``run(args) -> int | None``, which returns the exit
            code. Its docstring is the help text.
        help: One-line summary in the list of commands.
        script: Equivalent script and its arguments, to be run with ``python``.
    """

    module: str
    help: str
    script: str


COMMANDS = {
    'train': Command('train', 'Train a detector, segmentor or classifier.', 'tools/train.py'),
    'test': Command('test', 'Evaluate a checkpoint on a test set.', 'tools/test.py'),
    'predict': Command('predict', 'Run inference on images and videos.', '-m mmgab predict'),
    'list': Command(
        'list_configs', 'List configs with model sizes and reported scores.', '-m mmgab list'
    ),
    'check': Command('check', 'Validate the datasets of a config.', 'tools/misc/check_dataset.py'),
    'report': Command(
        'report', 'Write an HTML report of training runs.', 'tools/analysis_tools/report.py'
    ),
    'erf': Command('erf', 'Measure effective receptive fields.', 'tools/analysis_tools/erf.py'),
    'compare': Command(
        'compare',
        'Plot several effective receptive fields side by side.',
        'tools/analysis_tools/compare_erf.py',
    ),
    'gaussians': Command(
        'gaussians',
        'Print and plot amplitude and sigma of every layer.',
        'tools/analysis_tools/gab_params.py',
    ),
    'attention': Command(
        'attention',
        'Plot mean attention maps of a trained SwinGAB.',
        'tools/analysis_tools/attention_maps.py',
    ),
    'export': Command(
        'export', 'Export a model to ONNX or torch.export.', 'tools/deployment/export.py'
    ),
    'fold': Command(
        'fold',
        'Convert a SwinGAB checkpoint to an equivalent stock Swin checkpoint.',
        'tools/model_converters/convert.py fold',
    ),
    'unfold': Command(
        'unfold',
        'Convert a Swin checkpoint to an equivalent SwinGAB checkpoint.',
        'tools/model_converters/convert.py unfold',
    ),
    'import': Command(
        'layout_conversion',
        'Convert Swin weights of any project to the OpenMMLab layout.',
        'tools/model_converters/convert.py import',
    ),
    'inspect': Command(
        'inspect',
        'Print layout, variant, tables and hash of a checkpoint.',
        'tools/model_converters/convert.py inspect',
    ),
    'publish': Command(
        'publish',
        'Remove the training state from a checkpoint, and add its hash to the name.',
        'tools/model_converters/convert.py publish',
    ),
    'doctor': Command('doctor', 'Check the installation.', '-m mmgab.doctor'),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``mmgab COMMAND`` and return the exit code."""
    return run_one_of(COMMANDS, __doc__, argv, 'mmgab')


def run_one_of(
    names: Iterable[str],
    description: str | None,
    argv: Sequence[str] | None = None,
    program: str | None = None,
) -> int:
    """Run the command given by the first positional argument, and return the exit code.

    Args:
        names: Available commands.
        description: Help text above the list of commands.
        argv: Command-line arguments; ``sys.argv[1:]`` by default.
        program: Program name in usage messages; None for a script of ``tools/``.
    """
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(program, description=description, formatter_class=_FORMAT)
    commands = parser.add_subparsers(title='commands', metavar='COMMAND', required=True)
    parsers = {
        name: commands.add_parser(name, help=COMMANDS[name].help, formatter_class=_FORMAT)
        for name in names
    }
    words = os.environ.get('COMP_LINE', '').split()[1:] or argv  # set during shell completion
    chosen = next((word for word in words if not word.startswith('-')), None)

    def run() -> int | None:
        if chosen in parsers:
            _fill(parsers[chosen], chosen, is_script=program is None)
        _complete(parser)
        args, unknown = parser.parse_known_args(argv)
        if unknown:  # argparse's own error would print the usage of all commands
            parsers.get(chosen or '', parser).error(f'unrecognized arguments: {" ".join(unknown)}')
        return args.run(args)

    return exit_code_of(run, '--debug' in argv)


def run_script(name: str) -> int:
    """Run a command from its script in ``tools/``, and return the exit code."""

    def run() -> int | None:
        parser = argparse.ArgumentParser(formatter_class=_FORMAT)
        _fill(parser, name, is_script=True)
        args = parser.parse_args()
        return args.run(args)

    return exit_code_of(run, '--debug' in sys.argv)


def _fill(parser: argparse.ArgumentParser, name: str, is_script: bool) -> None:
    """Import a command's module, and add its help text and arguments to a parser."""
    module = importlib.import_module(f'{__package__}.{COMMANDS[name].module}')
    typed = f'python {COMMANDS[name].script}' if is_script else f'mmgab {name}'
    parser.description = (module.__doc__ or '').replace(f'mmgab {name}', typed)
    module.add_arguments(parser)
    parser.add_argument('--debug', action='store_true', help='print the traceback of an error')
    parser.set_defaults(run=module.run)


def _complete(parser: argparse.ArgumentParser) -> None:
    """Enable shell completion if argcomplete is installed."""
    with suppress(ImportError):
        import argcomplete

        argcomplete.autocomplete(parser)
