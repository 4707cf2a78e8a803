"""Convert, fold, inspect and publish checkpoints."""

import sys

from mmgab.cli.convert import main

if __name__ == '__main__':
    sys.exit(main())
