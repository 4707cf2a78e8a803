"""Draw what queries attend to: ``mmgab attention``."""

from mmgab.cli.attention import main

if __name__ == '__main__':
    main()
