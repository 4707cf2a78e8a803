"""Evaluate a detector or a segmentor: ``mmgab test``."""

from mmgab.cli.test import main

if __name__ == '__main__':
    main()
