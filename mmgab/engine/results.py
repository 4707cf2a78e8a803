"""The results of a test: what was tested, how, with which versions, and its metrics."""

import os
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from mmengine.config import Config

import mmgab
from mmgab.checkpoints.files import local_path
from mmgab.downloads.download import file_sha256
from mmgab.downloads.url import redact

_PACKAGES = ('torch', 'mmengine', 'mmcv', 'mmdet', 'mmseg', 'mmpretrain')


def results_name(tta: bool) -> str:
    """Name of the file with a test's results: that of an augmented test is another one."""
    return 'results_tta.json' if tta else 'results.json'


def describe_test(
    config: Config,
    checkpoint: str,
    metrics: Mapping,
    seed: int | None,
    tta: bool = False,
    options: Mapping | None = None,
    show_dir: Path | None = None,
) -> dict:
    """Describe a test.

    Args:
        config: The whole config.
        checkpoint: The file that was tested, as the user gave it.
        metrics: What the evaluators returned, in their own units.
        seed: The seed that was in force.
        tta: Whether images were augmented.
        options: Overrides of the config (``--cfg-options``).
        show_dir: Folder with the drawn predictions, if there are some; it is noted relative to
            the work dir.

    Returns:
        What JSON can hold, if the metrics can. Passwords in URLs are left out.
    """
    return dict(
        config=config.filename,
        checkpoint=redact(checkpoint),
        checkpoint_sha256=_sha256(checkpoint),
        tta=tta,
        cfg_options={key: _shown(value) for key, value in (options or {}).items()},
        seed=seed,
        versions=versions(),
        show_dir=None if show_dir is None else os.path.relpath(show_dir, config.work_dir),
        metrics=dict(metrics),
    )


def versions() -> dict[str, str]:
    """Versions of this package and of those that it works with, as far as they are installed."""
    found = {'mmgab': mmgab.__version__}
    for name in _PACKAGES:
        with suppress(ImportError):
            found[name] = import_module(name).__version__
    return found


def _sha256(checkpoint: str) -> str | None:
    """Hash of the file; None where there is none, as behind ``timm://``."""
    try:
        return file_sha256(local_path(checkpoint))
    except (OSError, ValueError):
        return None


def _shown(value: object) -> object:
    return redact(value) if isinstance(value, str) else value
