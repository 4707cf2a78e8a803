"""``python -m mmgab COMMAND``, which is ``mmgab COMMAND``."""

import sys

from mmgab.cli.commands import main

if __name__ == '__main__':
    sys.exit(main())
