"""Write the page of a run: ``mmgab report``."""

from mmgab.cli.report import main

if __name__ == '__main__':
    main()
