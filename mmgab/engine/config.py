"""Load a config of either toolbox, with inheritance from the installed packages."""

from mmengine.config import Config
from mmengine.config.lazy import LazyObject
from mmengine.utils import get_object_from_string

from .config_options import merge_options
from .package_bases import find_config  # its import has MMEngine find bases in packages


def load_config(
    path: str, options: dict | None = None, work_dir: str | None = None, launcher: str = 'none'
) -> Config:
    """Read a config file and settle what the command line decides.

    ``_base_='mmgab::NAME.py'`` works here, as ``mmdet::`` and ``mmseg::`` do.

    Args:
        path: The config file, or ``mmgab::NAME.py`` for one that comes with this package.
        options: Overrides, dotted keys to values; see :func:`.config_options.merge_options`.
        work_dir: Where logs and checkpoints go; by default the config's own, else
            ``./work_dirs/NAME``.
        launcher: ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.

    Returns:
        The config, ``work_dir`` and ``launcher`` set.

    Raises:
        FileNotFoundError: If there is no such file.
        OptionError: If an override has a key that nothing is known to read.
    """
    file = find_config(path)
    if not file.is_file():
        raise FileNotFoundError(f'config {path} does not exist (looked for {file.resolve()})')
    config = Config.fromfile(file)
    _restore_imports(config._cfg_dict)
    config.launcher = launcher
    if options:
        merge_options(config, options)
    config.work_dir = work_dir or config.get('work_dir') or f'./work_dirs/{file.stem}'
    return config


def _restore_imports(node: object) -> None:
    """Resolve full names in a dumped config to objects, as in the original config.

    A run writes a pure Python config with full names of modules, ``'mmcv.ops.nms'``. MMEngine finds
    what it builds by such names; what others look up, as MMCV's suppression, would not be found.
    """
    if isinstance(node, dict):
        name = dict.get(node, 'type')
        if isinstance(name, str) and name.count('.') > 1 and callable(get_object_from_string(name)):
            node['type'] = LazyObject(*name.rsplit('.', 1))
        node = dict.values(node)
    elif not isinstance(node, (list, tuple)):
        return
    for child in node:
        _restore_imports(child)
