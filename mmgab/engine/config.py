"""Load a config of either toolbox, with inheritance from the installed packages."""

from collections.abc import Iterable
from pathlib import Path

from mmengine.config import Config
from mmengine.config import utils as config_utils
from mmengine.utils import is_installed


def load_config(
    path: str, options: dict | None = None, work_dir: str | None = None, launcher: str = 'none'
) -> Config:
    """Read a config file and settle what the command line decides.

    ``_base_='mmgab::_base_/../NAME.py'`` works here, as ``mmdet::`` and ``mmseg::`` do. (MMEngine
    demands a folder in such a name, and these configs lie flat.)

    Args:
        path: The config file.
        options: Overrides, dotted keys to values.
        work_dir: Where logs and checkpoints go; by default the config's own, else
            ``./work_dirs/NAME``.
        launcher: ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.

    Returns:
        The config, ``work_dir`` and ``launcher`` set.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'config {path} does not exist (looked for {Path(path).resolve()})')
    _enable_package_bases()
    config = Config.fromfile(path)
    _drop_own_scope(config._cfg_dict)
    config.launcher = launcher
    if options:
        config.merge_from_dict(options)
    config.work_dir = work_dir or config.get('work_dir') or f'./work_dirs/{Path(path).stem}'
    return config


def _enable_package_bases() -> None:
    """Tell MMEngine which packages' configs can be inherited: a fixed table of names there.

    It does not know this package, and looks for MMSegmentation under the name of the original
    distribution, which the maintained line has changed.
    """
    config_utils.MODULE2PACKAGE['mmgab'] = 'mmgab'
    if not is_installed(config_utils.MODULE2PACKAGE['mmseg']):
        config_utils.MODULE2PACKAGE['mmseg'] = 'mmseg'


def _drop_own_scope(node: object) -> None:
    """Undo MMEngine's mark on what was inherited from ``mmgab::``.

    It would look for the types of the toolboxes in this package; our own types name their scope.
    """
    if isinstance(node, dict):
        if node.get('_scope_') == 'mmgab':
            del node['_scope_']
        node = node.values()
    if not isinstance(node, str) and isinstance(node, Iterable):
        for child in node:
            _drop_own_scope(child)
