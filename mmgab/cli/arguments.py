"""Arguments that several commands share, with the names that OpenMMLab's users type."""

import argparse
from pathlib import Path
from typing import Any

_IMAGES = "a folder, 'val' for the config's own, or 'noise'"


def positive(text: str) -> int:
    """Read a number of at least 1; a ``type`` of argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f'must be at least 1, got {number}')
    return number


def add_optional_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Add the weights of a config, which may be left out."""
    parser.add_argument('checkpoint', nargs='?', help='its weights; none: as before training')


def add_fitting_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Add a checkpoint with every tensor of the config's model."""
    parser.add_argument('checkpoint', help='checkpoint file; it must fit the config')


def add_trust(
    parser: argparse.ArgumentParser, what: str = 'the checkpoint', more: str = ''
) -> None:
    """Add ``--trust``.

    Args:
        parser: Of the command.
        what: The files that are unpickled, in the help.
        more: What else the help says.
    """
    parser.add_argument(
        '--trust',
        action='store_true',
        help=f'unpickle everything in {what}, which RUNS the code that it contains with your '
        f'rights{more}',
    )


def add_images(
    parser: argparse.ArgumentParser,
    default: str | None = None,
    help: str = _IMAGES,
    num: int | None = None,
    num_help: str = 'how many images, drawn by the seed; all',
    seed_help: str = 'of the draw, and of weights',
) -> None:
    """Add ``--images``, ``--num`` and ``--seed``: which images a network is looked at with.

    Args:
        parser: Of the command.
        default: Of ``--images``, which is required without one.
        help: Of ``--images``.
        num: The default of ``--num``.
        num_help: Of ``--num``.
        seed_help: Of ``--seed``.
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
    """Add ``--batch-size`` of what is measured image by image."""
    parser.add_argument('--batch-size', type=positive, default=4, help='at least 1')


def add_out(parser: argparse.ArgumentParser, *short: str, **settings: Any) -> None:
    """Add ``--out``, a path.

    Args:
        parser: Of the command.
        short: Another name, such as ``-o``.
        settings: Arguments of ``add_argument``.
    """
    parser.add_argument(*short, '--out', type=Path, **settings)
