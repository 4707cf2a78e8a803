"""Checks before a run that would otherwise fail late or far from the cause."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from mmengine.config import Config

from mmgab.datasets.nested_datasets import leaf_datasets

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
        for dataset in leaf_datasets((config.get(loader) or {}).get('dataset', {})):
            for path in filter(_is_missing, _paths(dataset)):
                raise FileNotFoundError(
                    f'{loader}: {path} does not exist or is empty (looked for '
                    f'{Path(path).resolve()}). docs/datasets.md describes the layout and where to '
                    f'get the data; if yours is elsewhere: --cfg-options {loader}.dataset.'
                    'data_root=FOLDER'
                )


def _is_missing(path: str) -> bool:
    if Path(path).is_dir():
        return not any(Path(path).iterdir())
    return not Path(path).exists()


def _paths(dataset: Mapping) -> Iterator[str]:
    """Local files and folders that a dataset reads."""
    root = dataset.get('data_root') or ''
    backend = (dataset.get('backend_args') or {}).get('backend', 'local')
    if _REMOTE in root or backend != 'local':
        return
    if root:
        yield root
    prefixes = dataset.get('data_prefix') or {}
    prefixes = prefixes.values() if isinstance(prefixes, Mapping) else [prefixes]  # one, a string
    for entry in (dataset.get('ann_file'), *prefixes):
        if isinstance(entry, str) and entry and _REMOTE not in entry:
            yield str(Path(root) / entry)
