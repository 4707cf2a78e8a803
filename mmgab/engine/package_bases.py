"""Configs that lie in installed packages: importing this module has ``_base_`` find them.

The tools of this project import it; for OpenMMLab's own, ``configs/_base_/package_bases.py`` does,
and users' configs may.
"""

from pathlib import Path

from mmgab.openmmlab_compat import OUR_BASES, find_package_bases

_CONFIGS = Path(__file__).parents[1] / '.mim' / 'configs'


def find_config(name: str) -> Path:
    """Path of a config file; ``mmgab::NAME.py`` is one that comes with this package."""
    return _CONFIGS / name.removeprefix(OUR_BASES) if name.startswith(OUR_BASES) else Path(name)


find_package_bases(find_config)
