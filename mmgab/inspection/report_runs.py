"""Read settings, curves, metrics, images and commands of a training run from its work dir."""

import json
import math
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from pathlib import Path

from mmengine.config import Config

from mmgab.reliability.checkpoint_note import last_checkpoint

from .report_config import read_config

_SCALARS, _CONFIG = 'vis_data/scalars.json', 'vis_data/config.py'
_ENVIRONMENT = re.compile(r'^ {4}([^:\n]+): (.+)$', re.MULTILINE)
_COMMAND = re.compile(r' Command: (.+)$', re.MULTILINE)
# Average precision and recall of MMDetection, which are fractions; MMPretrain's are in percent.
_FRACTION = re.compile(r'^(?!multi-label/)(.*[/_])?m?A[PR](?![A-Za-z]{2})')
_PICTURES = {'.png', '.jpg', '.jpeg'}
# Several kilobytes of build flags.
_LEFT_OUT = {'PyTorch compiling details'}


@dataclass(frozen=True)
class Run:
    """A training run.

    Attributes:
        folder: Its work dir.
        starts: Folders (named by time) of every start or resumption of the training that logged
            at least one iteration.
        read: Function that reads its config file.
    """

    folder: Path
    starts: list[Path]
    read: Callable[[Path], Config]

    @property
    def config_file(self) -> Path:
        """Path of the config of the last start."""
        return self.starts[-1] / _CONFIG

    @cached_property
    def config(self) -> Config:
        """Config of the last start."""
        return self.read(self.config_file)

    @property
    def checkpoint(self) -> Path | None:
        """Path of the last checkpoint; None without checkpoints."""
        files = [file for file in self.folder.glob('*.pth') if file.is_file()]
        newest = max(files, key=lambda file: file.stat().st_mtime, default=None)
        return last_checkpoint(self.folder) or newest

    @property
    def scalars(self) -> list[dict]:
        """Logged records in the order of training, each with its ``step``.

        After a resumption, its records replace earlier records of the same iterations.
        """
        kept: list[dict] = []
        for start in self.starts:
            records = _read_records(start / _SCALARS)
            steps = [step for step in map(_iteration, records) if step is not None]
            kept = [*_before(min(steps, default=math.inf), kept), *records]
        return kept

    @property
    def metrics(self) -> dict[str, dict]:
        """Metrics written by tools/test.py, by the name of the test; scores are in percent."""
        return {_name(one): in_percent(one['metrics']) for one in self._results}

    @property
    def tests(self) -> dict[str, dict[str, str]]:
        """Settings of each test written by tools/test.py, by the name of the test."""
        return {_name(one): _settings(one) for one in self._results}

    @property
    def unread(self) -> list[str]:
        """Errors of unreadable result files."""
        return [one['error'] for one in self._result_files if 'error' in one]

    @property
    def _results(self) -> list[dict]:
        return [one for one in self._result_files if 'metrics' in one]

    @cached_property
    def _result_files(self) -> list[dict]:
        """Contents of the result files of tools/test.py, each with its folder."""
        patterns = [f'{below}results{tta}.json' for below in ('', '*/') for tta in ('', '_tta')]
        files = {file for pattern in patterns for file in self.folder.glob(pattern)}
        return [
            dict(_read_result(file), folder=file.parent)
            for file in sorted(files, key=lambda file: file.stat().st_mtime)
        ]

    @property
    def environment(self) -> dict[str, str]:
        """Machine, versions and settings from the log of the last start."""
        log = _log(self.starts[-1])
        block = log.split('-' * 60)[1] if log.count('-' * 60) >= 2 else ''
        found = dict(_ENVIRONMENT.findall(block))
        return {name: value for name, value in found.items() if name not in _LEFT_OUT}

    @property
    def commands(self) -> list[str]:
        """Distinct commands of trainings and tests from their logs."""
        logs = sorted([*self.folder.glob('2*/*.log'), *self.folder.glob('*/2*/*.log')],
                      key=lambda file: file.stem)  # fmt: skip
        found = [line for log in logs for line in _COMMAND.findall(log.read_text(errors='replace'))]
        return list(dict.fromkeys(found))

    @property
    def pictures(self) -> list[Path]:
        """Image files in the work dir, and those written by its starts and tests."""
        images = sorted(self.folder.glob('*'))
        shown = [one['folder'] / one['show_dir'] for one in self._results if one.get('show_dir')]
        images += [
            path
            for folder in dict.fromkeys(each.resolve() for each in shown)
            if folder.is_relative_to(self.folder.resolve())
            for path in sorted(folder.glob('*'))
        ]
        patterns = ('2*/**/*', '*/2*/**/*', '**/vis_image/*')
        drawn = sorted({path for pattern in patterns for path in self.folder.glob(pattern)})
        return [path for path in [*images, *drawn] if path.suffix in _PICTURES]


def in_percent(values: dict) -> dict:
    """Convert all scores to percent; MMDetection reports precision and recall as fractions."""
    return {
        name: 100 * value
        if _FRACTION.search(name) and isinstance(value, (int, float)) and 0 <= value <= 1
        else value
        for name, value in values.items()
    }


def _name(result: dict) -> str:
    """Return the file name of the tested checkpoint, with ``--tta`` if it was used."""
    return Path(result['checkpoint']).name + (', --tta' if result.get('tta') else '')


def _settings(result: dict) -> dict[str, str]:
    given = {
        'checkpoint': result['checkpoint'],
        'its SHA-256': result.get('checkpoint_sha256'),
        'config': result.get('config'),
        '--tta': 'yes' if result.get('tta') else 'no',
        '--cfg-options': ' '.join(f'{k}={v}' for k, v in (result.get('cfg_options') or {}).items()),
        'seed': result.get('seed'),
        'versions': ', '.join(f'{k} {v}' for k, v in (result.get('versions') or {}).items()),
    }
    return {name: str(value) for name, value in given.items() if value not in (None, '')}


def find_runs(work_dir: Path, read: Callable[[Path], Config] = read_config) -> list[Run]:
    """Find the training runs of a work dir: itself, or its subfolders.

    Args:
        work_dir: The folder.
        read: Function that reads a config file; by default as literals. ``Config.fromfile``
            executes the file.

    Raises:
        FileNotFoundError: If the folder does not exist.
        ValueError: If there is no training run.
    """
    if not work_dir.is_dir():
        raise FileNotFoundError(f'{work_dir} is not a folder; it must be a work dir of a run')
    inside = sorted(path for path in work_dir.iterdir() if path.is_dir())
    runs = _runs([work_dir], read) or _runs(inside, read)
    if not runs:
        raise ValueError(
            f'{work_dir}: no training run found in this folder or its subfolders (there is no '
            f'*/{_SCALARS})'
        )
    return runs


def _iteration(record: dict) -> int | None:
    """Return the iteration of a record; None for validations, whose step may count epochs."""
    is_monitor = any(name.startswith('gab/') for name in record)
    return record['step'] if is_monitor else record.get('iter')


def _before(iteration: float, records: list[dict]) -> Iterator[dict]:
    def is_before(record: dict) -> bool:
        step = _iteration(record)
        return step is None or step < iteration

    return takewhile(is_before, records)


def _runs(folders: list[Path], read: Callable[[Path], Config]) -> list[Run]:
    runs = []
    for folder in folders:
        starts = sorted(file.parents[1] for file in folder.glob(f'2*/{_SCALARS}'))
        # A start without a logged iteration did not train.
        trained = [s for s in starts if any('iter' in r for r in _read_records(s / _SCALARS))]
        if not trained and any(folder.glob('*.pth')):  # it trained, but the log is missing
            trained = sorted(file.parents[1] for file in folder.glob(f'2*/{_CONFIG}'))
        if trained:
            runs.append(Run(folder, trained, read))
    return runs


def _read_records(file: Path) -> list[dict]:
    records = []
    for number, line in enumerate(file.read_text(errors='replace').splitlines(), 1):
        try:
            records.append(dict(json.loads(line)))
        except (ValueError, TypeError) as error:  # the last line of a killed run
            print(f'skipped: line {number} of {file}: {error}', file=sys.stderr)
    return records


def _read_result(file: Path) -> dict:
    try:
        found = dict(json.loads(file.read_text()))
        if 'metrics' in found:
            found |= dict(checkpoint=str(found['checkpoint']), metrics=dict(found['metrics']))
    except (ValueError, TypeError, KeyError, OSError) as error:
        return dict(error=f'{file} cannot be read: {type(error).__name__}: {error}')
    return found


def _log(start: Path) -> str:
    return ''.join(file.read_text(errors='replace') for file in start.glob('*.log'))
