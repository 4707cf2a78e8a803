"""What a training run left in its work dir: settings, curves, metrics, pictures, commands."""

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
# Average precision and recall as MMDetection names them; MMPretrain's are in percent.
_FRACTION = re.compile(r'^(?!multi-label/)(.*[/_])?m?A[PR](?![A-Za-z]{2})')
_PICTURES = {'.png', '.jpg', '.jpeg'}
# Kilobytes of what its parts were built with.
_LEFT_OUT = {'PyTorch compiling details'}


@dataclass(frozen=True)
class Run:
    """A training run.

    Attributes:
        folder: Its work dir.
        starts: Folders of its starts, one for each time that training began or was resumed, and
            logged something.
        read: Reads its config file.
    """

    folder: Path
    starts: list[Path]
    read: Callable[[Path], Config]

    @property
    def config_file(self) -> Path:
        """Settings of the last start."""
        return self.starts[-1] / _CONFIG

    @cached_property
    def config(self) -> Config:
        """The same, read."""
        return self.read(self.config_file)

    @property
    def checkpoint(self) -> Path | None:
        """The last one that is there."""
        files = [file for file in self.folder.glob('*.pth') if file.is_file()]
        newest = max(files, key=lambda file: file.stat().st_mtime, default=None)
        return last_checkpoint(self.folder) or newest

    @property
    def scalars(self) -> list[dict]:
        """Records in the order of training, each with its ``step``.

        A later start replaces everything from its first step on: what was trained again.
        """
        kept: list[dict] = []
        for start in self.starts:
            records = _read_records(start / _SCALARS)
            steps = [step for step in map(_iteration, records) if step is not None]
            kept = [*_before(min(steps, default=math.inf), kept), *records]
        return kept

    @property
    def metrics(self) -> dict[str, dict]:
        """Metrics that tools/test.py wrote, scores in percent; by the name of the test."""
        return {_name(one): in_percent(one['metrics']) for one in self._results}

    @property
    def tests(self) -> dict[str, dict[str, str]]:
        """How each test was made, by its name, as far as tools/test.py wrote it."""
        return {_name(one): _settings(one) for one in self._results}

    @property
    def unread(self) -> list[str]:
        """Why files of tests could not be read."""
        return [one['error'] for one in self._result_files if 'error' in one]

    @property
    def _results(self) -> list[dict]:
        return [one for one in self._result_files if 'metrics' in one]

    @cached_property
    def _result_files(self) -> list[dict]:
        """Contents of the files that tools/test.py wrote, each with its folder."""
        patterns = [f'{below}results{tta}.json' for below in ('', '*/') for tta in ('', '_tta')]
        files = {file for pattern in patterns for file in self.folder.glob(pattern)}
        return [
            dict(_read_result(file), folder=file.parent)
            for file in sorted(files, key=lambda file: file.stat().st_mtime)
        ]

    @property
    def environment(self) -> dict[str, str]:
        """Machine, versions and settings, as the log of the last start says them."""
        log = _log(self.starts[-1])
        block = log.split('-' * 60)[1] if log.count('-' * 60) >= 2 else ''
        found = dict(_ENVIRONMENT.findall(block))
        return {name: value for name, value in found.items() if name not in _LEFT_OUT}

    @property
    def commands(self) -> list[str]:
        """Commands that trained and tested, as their logs say them, each once."""
        logs = sorted([*self.folder.glob('2*/*.log'), *self.folder.glob('*/2*/*.log')],
                      key=lambda file: file.stem)  # fmt: skip
        found = [line for log in logs for line in _COMMAND.findall(log.read_text(errors='replace'))]
        return list(dict.fromkeys(found))

    @property
    def pictures(self) -> list[Path]:
        """Pictures beside its checkpoints, and those that its starts and tests have drawn."""
        beside = sorted(self.folder.glob('*'))
        shown = [one['folder'] / one['show_dir'] for one in self._results if one.get('show_dir')]
        beside += [
            path
            for folder in dict.fromkeys(each.resolve() for each in shown)
            if folder.is_relative_to(self.folder.resolve())
            for path in sorted(folder.glob('*'))
        ]
        patterns = ('2*/**/*', '*/2*/**/*', '**/vis_image/*')
        drawn = sorted({path for pattern in patterns for path in self.folder.glob(pattern)})
        return [path for path in [*beside, *drawn] if path.suffix in _PICTURES]


def in_percent(values: dict) -> dict:
    """Metrics with all scores in percent: MMDetection gives precision and recall as fractions."""
    return {
        name: 100 * value
        if _FRACTION.search(name) and isinstance(value, (int, float)) and 0 <= value <= 1
        else value
        for name, value in values.items()
    }


def _name(result: dict) -> str:
    """The tested checkpoint, and whether images were augmented."""
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
    """Runs of a work dir: itself, or the folders in it.

    Args:
        work_dir: The folder.
        read: Reads a config file; by default as data. ``Config.fromfile`` would run it.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If nothing was trained there.
    """
    if not work_dir.is_dir():
        raise FileNotFoundError(f'{work_dir} is no folder')
    inside = sorted(path for path in work_dir.iterdir() if path.is_dir())
    runs = _runs([work_dir], read) or _runs(inside, read)
    if not runs:
        raise ValueError(
            f'{work_dir}: nothing was trained here, nor in a folder of it: there is no */{_SCALARS}'
        )
    return runs


def _iteration(record: dict) -> int | None:
    """Where in training a record is from; a validation's step may count epochs."""
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
        # One that was stopped before it logged anything trained nothing.
        trained = [s for s in starts if any('iter' in r for r in _read_records(s / _SCALARS))]
        if not trained and any(folder.glob('*.pth')):  # it trained, and its log is not there
            trained = sorted(file.parents[1] for file in folder.glob(f'2*/{_CONFIG}'))
        if trained:
            runs.append(Run(folder, trained, read))
    return runs


def _read_records(file: Path) -> list[dict]:
    records = []
    for number, line in enumerate(file.read_text(errors='replace').splitlines(), 1):
        try:
            records.append(dict(json.loads(line)))
        except (ValueError, TypeError) as error:  # the last one of a run that was killed
            print(f'left out: line {number} of {file}: {error}', file=sys.stderr)
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
