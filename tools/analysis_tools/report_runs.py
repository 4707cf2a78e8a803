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
from report_config import read_config

_SCALARS = 'vis_data/scalars.json'
_ENVIRONMENT = re.compile(r'^ {4}([^:\n]+): (.+)$', re.MULTILINE)
_COMMAND = re.compile(r' Command: (.+)$', re.MULTILINE)
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
        return self.starts[-1] / 'vis_data' / 'config.py'

    @cached_property
    def config(self) -> Config:
        """The same, read."""
        return self.read(self.config_file)

    @property
    def checkpoint(self) -> Path | None:
        """The last one that is there."""
        note = self.folder / 'last_checkpoint'
        named = [self.folder / Path(note.read_text().strip()).name] if note.is_file() else []
        newest = sorted(self.folder.glob('*.pth'), key=lambda file: file.stat().st_mtime)
        return next((file for file in [*named, *newest[::-1]] if file.is_file()), None)

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
        """What tools/test.py wrote, by the checkpoint's name."""
        files = sorted(
            [*self.folder.glob('results.json'), *self.folder.glob('*/results.json')],
            key=lambda file: file.stat().st_mtime,
        )
        found = [json.loads(file.read_text()) for file in files]
        return {Path(one['checkpoint']).name: one['metrics'] for one in found if 'metrics' in one}

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
        found = [line for log in logs for line in _COMMAND.findall(log.read_text())]
        return list(dict.fromkeys(found))

    @property
    def pictures(self) -> list[Path]:
        """Pictures beside its checkpoints, and those that were drawn in its starts and tests."""
        beside = sorted(self.folder.glob('*'))
        patterns = ('2*/**/*', '*/2*/**/*', '**/vis_image/*')
        drawn = sorted({path for pattern in patterns for path in self.folder.glob(pattern)})
        return [path for path in [*beside, *drawn] if path.suffix in _PICTURES]


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
        if trained:
            runs.append(Run(folder, trained, read))
    return runs


def _read_records(file: Path) -> list[dict]:
    records = []
    for number, line in enumerate(file.read_text().splitlines(), 1):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError as error:  # the last one of a run that was killed
            print(f'left out: line {number} of {file}: {error}', file=sys.stderr)
    return records


def _log(start: Path) -> str:
    return ''.join(file.read_text() for file in start.glob('*.log'))
