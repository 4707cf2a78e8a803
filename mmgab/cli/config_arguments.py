"""Arguments of commands that read a config: the config file and ``--cfg-options``."""

import argparse
from pathlib import Path

from mmengine.config import DictAction


class OptionsAction(DictAction):
    """MMEngine's parser of ``KEY=VALUE`` options, which reports errors as argparse errors."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: list[str],
        option_string: str | None = None,
    ) -> None:
        """Parse options and add them to the options parsed before."""
        for word in values:
            if '=' not in word.lstrip('='):
                raise argparse.ArgumentError(self, f'{word!r} does not have the form KEY=VALUE')
        try:
            super().__call__(parser, namespace, values, option_string)
        except AssertionError as error:  # unbalanced brackets
            raise argparse.ArgumentError(self, str(error)) from error


def add_config(parser: argparse.ArgumentParser, name: str = 'config', more: str = '') -> None:
    """Add the config file, a positional argument.

    Args:
        parser: Parser of the command.
        name: Name of the argument.
        more: Text appended to the help text.
    """
    parser.add_argument(
        name, help=f'config file, or mmgab::NAME.py for a config of the mmgab package{more}'
    )


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options``."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionsAction,
        metavar='KEY=VALUE',
        help='override settings of the config: key=value, key="[a,b]", key="[(a,b),(c,d)]"; '
        '+key=value adds a key without the check for unknown keys',
    )


def config_name(source: str) -> str:
    """Return the name of a config (without folder and suffix) or of a timm model."""
    name = source.removeprefix('mmgab::')
    return Path(name.replace(':', '_').replace('/', '_') if ':' in name else name).stem
