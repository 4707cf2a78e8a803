"""Bases of a config that lie in installed packages: ``mmgab::NAME.py``, and ``mmseg::`` everywhere.

MMEngine has a fixed table of packages, which lacks this one and has MMSegmentation by the name of
its first distribution, which the maintained line has changed. Importing this module mends both. The
tools of this project do that; for OpenMMLab's own, ``configs/_base_/package_bases.py`` does.
"""

from pathlib import Path

from mmengine.config import Config
from mmengine.config import utils as config_utils
from mmengine.utils import is_installed

_CONFIGS = Path(__file__).parents[1] / '.mim' / 'configs'
_PREFIX = 'mmgab::'
_find_in_other_packages = Config._get_cfg_path


def _find_base(base: str, filename: str) -> tuple[str, str | None]:
    """Find the file that ``_base_`` names, and the scope of the types in it.

    Ours has no scope of its own: its types are those of the toolboxes, or say ``mmgab.``.

    Raises:
        FileNotFoundError: If this package has no such config.
    """
    if not base.startswith(_PREFIX):
        return _find_in_other_packages(base, filename)
    path = _CONFIGS / base.removeprefix(_PREFIX)
    if not path.is_file():
        raise FileNotFoundError(f'_base_ {base!r} of {filename}: {path} does not exist')
    return str(path), None


def _teach_mmengine() -> None:
    config_utils.MODULE2PACKAGE['mmgab'] = 'mmgab'
    if not is_installed(config_utils.MODULE2PACKAGE['mmseg']):
        config_utils.MODULE2PACKAGE['mmseg'] = 'mmseg'
    Config._get_cfg_path = staticmethod(_find_base)


_teach_mmengine()
