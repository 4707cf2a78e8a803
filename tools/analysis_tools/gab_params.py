"""Print and plot amplitude and sigma of every layer: ``mmgab gaussians``."""

import sys

from mmgab.cli.commands import run_script


def main() -> int:
    """Run the command; returns the exit code."""
    return run_script('gaussians')


if __name__ == '__main__':
    sys.exit(main())
