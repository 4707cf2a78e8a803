"""Export a model to ONNX: ``mmgab export``."""

from mmgab.cli.export import main

if __name__ == '__main__':
    main()
