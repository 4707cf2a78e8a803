"""Export a model to ONNX or torch.export: ``mmgab export``."""

import sys

from mmgab.cli.commands import run_script


def main() -> int:
    """Run the command; returns the exit code."""
    return run_script('export')


if __name__ == '__main__':
    sys.exit(main())
