"""Plot several effective receptive fields side by side: ``mmgab compare``."""

import sys

from mmgab.cli.commands import run_script


def main() -> int:
    """Run the command; returns the exit code."""
    return run_script('compare')


if __name__ == '__main__':
    sys.exit(main())
