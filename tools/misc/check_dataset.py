"""Validate the datasets of a config: ``mmgab check``."""

import sys

from mmgab.cli.commands import run_script


def main() -> int:
    """Run the command; returns the exit code."""
    return run_script('check')


if __name__ == '__main__':
    sys.exit(main())
