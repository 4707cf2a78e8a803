"""Checks before a run that would otherwise fail late or far from the cause."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from mmengine.config import Config

_REMOTE = '://'


def check_work_dir(work_dir: str) -> None:
    """Make the work dir and write a file in it.

    Raises:
        OSError: If that cannot be done; the message names the folder.
    """
    try:
        Path(work_dir).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=work_dir):
            pass
    except OSError as error:
        reason = error.strerror or error
        raise OSError(f'work dir {Path(work_dir).resolve()} cannot be written: {reason}') from error


def check_data(config: Config, loaders: tuple[str, ...]) -> None:
    """Look for the folders and annotation files of the datasets that a run will read.

    Args:
        config: A whole config.
        loaders: Which of its loaders, ``'train_dataloader'`` for example.

    Raises:
        FileNotFoundError: If one is not there; the message says what was looked for and where the
            layout and the download pages are described.
    """
    for loader in loaders:
        for dataset in _leaf_datasets((config.get(loader) or {}).get('dataset', {})):
            for path in _paths(dataset):
                if _REMOTE not in path and not Path(path).exists():
                    raise FileNotFoundError(
                        f'{loader}: {path} does not exist (looked for {Path(path).resolve()}). '
                        'docs/datasets.md describes the layout and where to get the data; '
                        'set data_root with --cfg-options if yours is elsewhere'
                    )


def _leaf_datasets(dataset: Mapping) -> Iterator[Mapping]:
    """Datasets inside any nest of wrappers (RepeatDataset, ConcatDataset, ...)."""
    inner = dataset.get('dataset', dataset.get('datasets'))
    if inner is None:
        yield dataset
        return
    for item in inner if isinstance(inner, (list, tuple)) else [inner]:
        yield from _leaf_datasets(item)


def _paths(dataset: Mapping) -> Iterator[str]:
    root = dataset.get('data_root') or ''
    if _REMOTE in root:
        return
    if root:
        yield root
    prefixes = dataset.get('data_prefix') or {}
    for entry in (dataset.get('ann_file'), *prefixes.values()):
        if isinstance(entry, str) and entry:
            yield entry if _REMOTE in entry else str(Path(root) / entry)
