"""The page about a run: parts that are made one by one, and say why where one fails."""

import argparse
import datetime
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from mmengine.config import Config
from tqdm import tqdm

from mmgab.checkpoints import read_checkpoint
from mmgab.checkpoints.contents import unwrap
from mmgab.config_types import type_name
from mmgab.downloads.download import file_sha256
from mmgab.html_template import render

from .report_pictures import Figure, picture
from .report_runs import Run

_TEMPLATE = Path(__file__).with_name('report.html.j2')
MAX_PICTURES = 8  # of one run; a validation set has thousands
Made = TypeVar('Made')


def settings(run: Run) -> dict[str, str]:
    """What was trained, in a few lines."""
    config = run.config
    rows = {
        'model': lambda: type_name(config.model),
        'backbone': lambda: _call(config.model.backbone, ('embed_dims', 'depths', 'num_heads',
                                                          'window_size', 'gab_cfg')),
        'data': lambda: _call(config.train_dataloader.dataset, ('data_root',)),
        'batch': lambda: f'{config.train_dataloader.batch_size} images a process',
        'optimizer': lambda: _call(config.optim_wrapper.optimizer, ('lr', 'weight_decay')),
        'schedule': lambda: _call(config.train_cfg, ('max_epochs', 'max_iters')),
        'seed': lambda: str(config.get('randomness', {}).get('seed', 'none')),
    }  # fmt: skip
    found = {}
    for name, row in rows.items():
        try:
            found[name] = row()
        except (AttributeError, KeyError, TypeError) as error:
            found[name] = f'not known: {reason(error)}'
    return found


def _call(config: Config, names: tuple[str, ...]) -> str:
    """A type and the most telling of its arguments."""
    given = ', '.join(f'{name}={config[name]}' for name in names if name in config)
    return f'{type_name(config)}({given})'


def checkpoint_facts(run: Run) -> dict[str, str]:
    """Name, size and hash of the last checkpoint.

    Raises:
        ValueError: If there is none, or it cannot be read.
    """
    path = run.checkpoint
    if path is None:
        raise ValueError('There is no checkpoint: no position bias, no receptive fields.')
    try:
        tensors, _ = unwrap(read_checkpoint(str(path)), str(path))
    except (ValueError, OSError) as error:
        raise ValueError(f'The last checkpoint cannot be read: {error}') from error
    return {
        'checkpoint': f'{path.name}, {sum(t.numel() for t in tensors.values()) / 1e6:.1f} '
        'million numbers',
        'its SHA-256': file_sha256(str(path)),
    }


def pictures_of(paths: list[Path], notes: list[str]) -> list[Figure]:
    """Pictures, as far as they can be read."""
    figures = []
    for path in paths[:MAX_PICTURES]:
        try:
            figures.append(picture(path, path.name))
        except Exception as error:  # of any decoder
            notes.append(f'{path.name} is not shown: {reason(error)}')
    if len(paths) > MAX_PICTURES:
        notes.append(f'{MAX_PICTURES} of {len(paths)} pictures are shown.')
    return figures


class Parts:
    """Parts of a run's page: one that fails says why in its place, and the others are made.

    Attributes:
        failed: By the name of a part, why there is none.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.failed: dict[str, str] = {}

    def make(self, part: str, maker: Callable[[], Made]) -> Made | None:
        """Make a part; None where that fails."""
        try:
            return maker()
        except Exception as error:  # of the data, of the config's own code, of a library
            self.failed[part] = reason(error)
            print(f'{self.run.folder.name}, {part}: {reason(error)}', file=sys.stderr)
            return None

    def draw(self, part: str, *args: object) -> list[Figure]:
        """Draw figures; matplotlib is imported here, so that without it the rest is made."""
        return self.make(part, lambda: _figures(part)(self.run, *args)) or []


def _figures(part: str) -> Callable[..., list[Figure]]:
    return getattr(importlib.import_module('mmgab.inspection.report_figures'), part)


def reason(error: Exception) -> str:
    """An error in a sentence; the type of one that has none."""
    is_sentence = isinstance(error, (ValueError, OSError)) and str(error)
    return str(error) if is_sentence else f'{type(error).__name__}: {error}'


def sections(run: Run, args: argparse.Namespace) -> dict:
    """Everything that the page says about a run."""
    parts, notes = Parts(run), []
    facts = parts.make('weights', lambda: checkpoint_facts(run)) or {}
    monitored = parts.draw('gaussians')
    if not monitored and 'gaussians' not in parts.failed:
        notes.append(
            'Amplitudes and sigmas over time are not known: mmgab.GABMonitorHook was not in '
            'custom_hooks, or there is no Gaussian.'
        )
    trained = parts.draw('tables') if facts else []
    if facts and args.images != 'none':
        if args.run_config:
            trained += parts.draw('receptive_fields', args, notes.append)
        else:
            notes.append(
                'Receptive fields were not measured: that runs what the config of the work dir '
                'names. --run-config allows it.'
            )
    metrics = parts.make('metrics', lambda: run.metrics) or {}
    if run.unread:
        parts.failed['metrics'] = '; '.join(run.unread)
    return dict(
        name=run.folder.resolve().name,
        failed=parts.failed,
        settings=(parts.make('settings', lambda: settings(run)) or {}) | facts,
        metrics=metrics,
        tests=parts.make('metrics', lambda: run.tests) or {},
        curves=parts.draw('curves'),
        monitored=monitored,
        trained=trained,
        pictures=parts.make('pictures', lambda: pictures_of(run.pictures, notes)) or [],
        notes=notes,
        commands=parts.make('commands', lambda: run.commands) or [],
        environment=parts.make('environment', lambda: run.environment) or {},
        config=parts.make('config', lambda: run.config.pretty_text) or '',
    )


def readable(value: object) -> str:
    """A metric in a table; MMDetection's -1 means that there was nothing to measure."""
    if not isinstance(value, (int, float)):
        return str(value)
    return 'no such objects' if value < 0 else f'{value:.4g}'


def page(work_dir: Path, runs: list[Run], args: argparse.Namespace) -> str:
    """The page's HTML."""
    overview: list[Figure] = []
    notes: list[str] = []
    if runs[0].folder != work_dir:
        overview = pictures_of(sorted(work_dir.glob('*.png')), notes)
    return render(
        _TEMPLATE,
        title=work_dir.resolve().name,
        when=datetime.datetime.now().astimezone().strftime('%Y-%m-%d %H:%M %Z'),
        readable=readable,
        overview=overview,
        notes=notes,
        runs=[sections(run, args) for run in tqdm(runs, 'report', unit='run')],
    )
