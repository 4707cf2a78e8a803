"""Show the Gaussians of checkpoints: ``mmgab gaussians``."""

from mmgab.cli.gaussians import main

if __name__ == '__main__':
    main()
