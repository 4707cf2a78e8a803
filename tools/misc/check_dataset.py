"""Check the data of a config: ``mmgab check``."""

import sys

from mmgab.cli.check import main

if __name__ == '__main__':
    sys.exit(main())
