"""Every patch of OpenMMLab's packages, one function each; importing this module patches nothing.

What MMEngine has a call for is no patch: registering a loader, a storage backend or a hook. Nor is
a method of a single object that is replaced for the time of a run, as in
:mod:`mmgab.reliability.watched_logs`. The module lies below all rooms, since ``checkpoints`` and
``engine`` both call it.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from logging import DEBUG, INFO
from pathlib import Path

from mmengine import logging
from mmengine.config import Config
from mmengine.config import utils as config_utils
from mmengine.registry import DefaultScope
from mmengine.runner import checkpoint
from mmengine.utils import is_installed

OUR_BASES = 'mmgab::'


def find_package_bases(find_config: Callable[[str], Path]) -> None:
    """Resolve ``_base_`` in installed packages: ``mmgab::NAME.py``, and ``mmseg::`` as well.

    Why: MMEngine has a fixed table of packages. It lacks this one, and has MMSegmentation by the
    name of its first distribution, which the maintained line has changed.

    Versions: MMEngine 0.10.7; onedl-mmengine 0.10.12.

    Args:
        find_config: ``mmgab::NAME.py`` to a path.
    """
    find_in_other_packages = Config._get_cfg_path

    def find_base(base: str, filename: str) -> tuple[str, str | None]:
        """Find the file of a ``_base_`` entry, and the scope of the types in it.

        Ours has no scope of its own: its types are those of the toolboxes, or say ``mmgab.``.

        Raises:
            FileNotFoundError: If this package has no such config.
        """
        if not base.startswith(OUR_BASES):
            return find_in_other_packages(base, filename)
        path = find_config(base)
        if not path.is_file():
            raise FileNotFoundError(f'_base_ {base!r} of {filename}: {path} does not exist')
        return str(path), None

    config_utils.MODULE2PACKAGE['mmgab'] = 'mmgab'
    if not is_installed(config_utils.MODULE2PACKAGE['mmseg']):
        config_utils.MODULE2PACKAGE['mmseg'] = 'mmseg'
    Config._get_cfg_path = staticmethod(find_base)


def forget_default_scope() -> None:
    """Let each toolbox find types in its own registry, as in a process without a default scope.

    Why: that is what ``default_scope = None`` of a pure Python config means, and MMEngine has no
    call for it once a scope was set.

    Versions: MMEngine 0.10.7; onedl-mmengine 0.10.12.
    """
    DefaultScope._instance_dict.clear()


def replace_checkpoint_readers(load_from_http: Callable, load: Callable) -> None:
    """Have MMEngine's loaders of names, such as ``torchvision://``, and of storage read by ours.

    Why: they call these two functions, not the loader that is registered for a scheme, and theirs
    unpickle everything where PyTorch's restricted unpickler refuses a file.

    Versions: onedl-mmengine 0.10.12; MMEngine 0.10.7, which has the first one alone and relies on
    PyTorch's unpickler for the second.

    Args:
        load_from_http: Like ``mmengine.runner.checkpoint.load_from_http``.
        load: Like ``torch.load``.
    """
    checkpoint.load_from_http = load_from_http
    if hasattr(checkpoint, '_safe_torch_load'):
        checkpoint._safe_torch_load = load


def drop_debug_prints() -> None:
    """Make ``print_log`` without a logger drop debug messages, as loggers do.

    Why: it prints whatever the level, so that importing MMDetection prints "Could not import OneDL"
    once for each of its packages.

    Versions: onedl-mmengine 0.10.12; MMEngine 0.10.7.
    """

    @wraps(logging.print_log)
    def print_log(msg: object, logger: object = None, level: int = INFO) -> None:
        if logger is not None or level > DEBUG:
            original(msg, logger, level)

    original = logging.print_log
    logging.print_log = print_log


def silence_pycocotools() -> None:
    """Have pycocotools print nothing: no progress of loading, no table of each evaluation.

    Why: it prints some 60 lines for each evaluation, without a logger. The metrics are logged.

    Versions: pycocotools 2.0.
    """
    with suppress(ImportError):  # MMSegmentation does not need it
        from pycocotools import coco, cocoeval

        for module in (coco, cocoeval):
            module.print = lambda *values, **options: None
