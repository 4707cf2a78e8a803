"""Generator of configs/metafile.yml, the model index of ``mim`` and ``mmgab list``."""
