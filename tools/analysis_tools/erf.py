"""Measure effective receptive fields: ``mmgab erf``."""

from mmgab.cli.erf import main

if __name__ == '__main__':
    main()
