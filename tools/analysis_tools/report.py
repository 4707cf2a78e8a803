"""Write an HTML report of training runs: ``mmgab report``."""

import sys

from mmgab.cli.commands import run_script


def main() -> int:
    """Run the command; returns the exit code."""
    return run_script('report')


if __name__ == '__main__':
    sys.exit(main())
