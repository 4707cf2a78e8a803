"""The arguments of commands that read a config: its file, and overrides of its settings."""

import argparse
from pathlib import Path

from mmengine.config import DictAction


class OptionsAction(DictAction):
    """MMEngine's reader of ``KEY=VALUE``, whose errors are argparse's."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: list[str],
        option_string: str | None = None,
    ) -> None:
        """Add values to the options that were read before."""
        for word in values:
            if '=' not in word.lstrip('='):
                raise argparse.ArgumentError(self, f'{word!r} is not KEY=VALUE')
        try:
            super().__call__(parser, namespace, values, option_string)
        except AssertionError as error:  # of brackets
            raise argparse.ArgumentError(self, str(error)) from error


def add_config(parser: argparse.ArgumentParser, name: str = 'config', more: str = '') -> None:
    """Add the config.

    Args:
        parser: Of the command.
        name: Of the argument.
        more: What else its help says.
    """
    parser.add_argument(
        name, help=f'config file, or mmgab::NAME.py for one that comes with mmgab{more}'
    )


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options``."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionsAction,
        metavar='KEY=VALUE',
        help='override settings of the config: key=value, key="[a,b]", key="[(a,b),(c,d)]"; '
        '+key=value adds a key that nothing is known to read',
    )


def config_name(source: str) -> str:
    """Name of a config without folder and suffix, or of a network of timm, for results."""
    name = source.removeprefix('mmgab::')
    return Path(name.replace(':', '_').replace('/', '_') if ':' in name else name).stem
