"""Plot mean attention maps of a trained SwinGAB: ``mmgab attention``."""

import sys

from mmgab.cli.commands import run_script


def main() -> int:
    """Run the command; returns the exit code."""
    return run_script('attention')


if __name__ == '__main__':
    sys.exit(main())
