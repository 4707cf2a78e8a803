"""Evaluate a checkpoint on a test set: ``mmgab test``."""

import sys

from mmgab.cli.commands import run_script


def main() -> int:
    """Run the command; returns the exit code."""
    return run_script('test')


if __name__ == '__main__':
    sys.exit(main())
