"""Compare effective receptive fields: ``mmgab compare``."""

from mmgab.cli.compare import main

if __name__ == '__main__':
    main()
