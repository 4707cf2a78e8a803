"""Sections of the HTML report; a section that fails shows the reason, the others are kept."""

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
MAX_PICTURES = 8  # per run; a validation set can have thousands of images
Made = TypeVar('Made')


def settings(run: Run) -> dict[str, str]:
    """Return the main settings of a run as a table."""
    config = run.config
    rows = {
        'model': lambda: type_name(config.model),
        'backbone': lambda: _call(config.model.backbone, ('embed_dims', 'depths', 'num_heads',
                                                          'window_size', 'gab_cfg')),
        'data': lambda: _call(config.train_dataloader.dataset, ('data_root',)),
        'batch size': lambda: f'{config.train_dataloader.batch_size} images per process',
        'optimizer': lambda: _call(config.optim_wrapper.optimizer, ('lr', 'weight_decay')),
        'schedule': lambda: _call(config.train_cfg, ('max_epochs', 'max_iters')),
        'seed': lambda: str(config.get('randomness', {}).get('seed', 'none')),
    }  # fmt: skip
    found = {}
    for name, row in rows.items():
        try:
            found[name] = row()
        except (AttributeError, KeyError, TypeError) as error:
            found[name] = f'unknown: {reason(error)}'
    return found


def _call(config: Config, names: tuple[str, ...]) -> str:
    """Format a type with the given arguments."""
    given = ', '.join(f'{name}={config[name]}' for name in names if name in config)
    return f'{type_name(config)}({given})'


def checkpoint_facts(run: Run) -> dict[str, str]:
    """Return name, size and hash of the last checkpoint.

    Raises:
        ValueError: If there is no checkpoint, or it cannot be read.
    """
    path = run.checkpoint
    if path is None:
        raise ValueError(
            f'{run.folder} has no checkpoint; position bias and receptive fields are not shown.'
        )
    try:
        tensors, _ = unwrap(read_checkpoint(str(path)), str(path))
    except (ValueError, OSError) as error:
        raise ValueError(f'The last checkpoint cannot be read: {error}') from error
    return {
        'checkpoint': f'{path.name}, {sum(t.numel() for t in tensors.values()) / 1e6:.1f} '
        'million tensor elements',
        'its SHA-256': file_sha256(str(path)),
    }


def pictures_of(paths: list[Path], notes: list[str]) -> list[Figure]:
    """Return figures of image files; add a note for each unreadable file."""
    figures = []
    for path in paths[:MAX_PICTURES]:
        try:
            figures.append(picture(path, path.name))
        except Exception as error:  # from any decoder
            notes.append(f'{path.name} is not shown: {reason(error)}')
    if len(paths) > MAX_PICTURES:
        notes.append(f'{MAX_PICTURES} of {len(paths)} images are shown.')
    return figures


class Parts:
    """Makes the sections of a run's report, and collects the reasons of sections that fail.

    Attributes:
        failed: Maps names of failed sections to the reason.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.failed: dict[str, str] = {}

    def make(self, part: str, maker: Callable[[], Made]) -> Made | None:
        """Make a section; returns None if that fails."""
        try:
            return maker()
        except Exception as error:  # from the data, the config's code or a library
            self.failed[part] = reason(error)
            print(f'{self.run.folder.name}, {part}: {reason(error)}', file=sys.stderr)
            return None

    def draw(self, part: str, *args: object) -> list[Figure]:
        """Make figures; matplotlib is imported here, so that the rest works without it."""
        return self.make(part, lambda: _figures(part)(self.run, *args)) or []


def _figures(part: str) -> Callable[..., list[Figure]]:
    return getattr(importlib.import_module('mmgab.inspection.report_figures'), part)


def reason(error: Exception) -> str:
    """Return the message of an error, with its type unless the message is a sentence."""
    is_sentence = isinstance(error, (ValueError, OSError)) and str(error)
    return str(error) if is_sentence else f'{type(error).__name__}: {error}'


def sections(run: Run, args: argparse.Namespace) -> dict:
    """Return the content of all sections about a run."""
    parts, notes = Parts(run), []
    facts = parts.make('weights', lambda: checkpoint_facts(run)) or {}
    monitored = parts.draw('gaussians')
    if not monitored and 'gaussians' not in parts.failed:
        notes.append(
            'Amplitude and sigma were not logged: custom_hooks has no mmgab.GABMonitorHook, or the '
            'model has no Gaussian.'
        )
    trained = parts.draw('tables') if facts else []
    if facts and args.images != 'none':
        if args.run_config:
            trained += parts.draw('receptive_fields', args, notes.append)
        else:
            notes.append(
                'Receptive fields were not measured. --run-config measures them, which executes '
                'the config of the work dir.'
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
    """Format a metric; -1 of MMDetection means that there is no ground truth."""
    if not isinstance(value, (int, float)):
        return str(value)
    return 'no ground truth' if value < 0 else f'{value:.4g}'


def page(work_dir: Path, runs: list[Run], args: argparse.Namespace) -> str:
    """Render the HTML page."""
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
        runs=[sections(run, args) for run in tqdm(runs, 'report', unit='run', disable=None)],
    )
