"""Train a detector or a segmentor: ``mmgab train``."""

from mmgab.cli.train import main

if __name__ == '__main__':
    main()
