"""Arguments shared by several commands, named as in OpenMMLab's tools."""

import argparse
from pathlib import Path
from typing import Any

_IMAGES = "input images: a folder, 'val' (validation set of the config) or 'noise'"


def positive(text: str) -> int:
    """Parse an integer of at least 1; an argparse ``type``."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f'must be at least 1, got {number}')
    return number


def add_optional_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Add an optional checkpoint."""
    parser.add_argument(
        'checkpoint', nargs='?', help='checkpoint file; default: the initial weights of the config'
    )


def add_fitting_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Add a required checkpoint, which must have every tensor of the config's model."""
    parser.add_argument('checkpoint', help="checkpoint file with all weights of the config's model")


def add_trust(
    parser: argparse.ArgumentParser, what: str = 'the checkpoint', more: str = ''
) -> None:
    """Add ``--trust``.

    Args:
        parser: Parser of the command.
        what: Files that the flag applies to, for the help text.
        more: Text appended to the help text.
    """
    parser.add_argument(
        '--trust',
        action='store_true',
        help=f'allow executable pickle code in {what}; loading it RUNS that code with your '
        f'permissions{more}',
    )


def add_images(
    parser: argparse.ArgumentParser,
    default: str | None = None,
    help: str = _IMAGES,
    num: int | None = None,
    num_help: str = 'number of images, sampled with --seed; default: all (100 of noise)',
    seed_help: str = 'random seed of the image sample and of initial weights; default: 0',
) -> None:
    """Add ``--images``, ``--num`` and ``--seed``, which choose the input images.

    Args:
        parser: Parser of the command.
        default: Default of ``--images``; without one, the flag is required.
        help: Help text of ``--images``.
        num: Default of ``--num``.
        num_help: Help text of ``--num``.
        seed_help: Help text of ``--seed``.
    """
    parser.add_argument('--images', required=default is None, default=default, help=help)
    parser.add_argument('--num', type=int, default=num, help=num_help)
    parser.add_argument('--seed', type=int, default=0, help=seed_help)


def add_size(parser: argparse.ArgumentParser, default: tuple[int, int] | None, help: str) -> None:
    """Add ``--size``, height and width of images in pixels."""
    parser.add_argument(
        '--size', nargs=2, type=int, metavar=('HEIGHT', 'WIDTH'), default=default, help=help
    )


def add_batch_size(parser: argparse.ArgumentParser) -> None:
    """Add ``--batch-size``."""
    parser.add_argument('--batch-size', type=positive, default=4, help='batch size; default: 4')


def add_out(parser: argparse.ArgumentParser, *short: str, **settings: Any) -> None:
    """Add ``--out``, a path.

    Args:
        parser: Parser of the command.
        short: Short name of the flag, such as ``-o``.
        settings: Further arguments of ``add_argument``.
    """
    parser.add_argument(*short, '--out', type=Path, **settings)
