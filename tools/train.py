"""Train a detector, segmentor or classifier: ``mmgab train``."""

import sys

from mmgab.cli.commands import run_script


def main() -> int:
    """Run the command; returns the exit code."""
    return run_script('train')


if __name__ == '__main__':
    sys.exit(main())
