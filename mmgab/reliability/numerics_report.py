"""Reports of steps whose numbers were bad: a file of each process, and a sentence of them all."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmgab.atomic_file import write_text

LISTED = 20  # names in a message or file; all of a network's tensors may be bad
_RANKS = 4  # in a message


def write_report(diagnosis: Mapping, work_dir: str) -> None:
    """Write what a process found to ``WORK_DIR/numerics/iter_N_rank_R.json``.

    Args:
        diagnosis: With ``iteration`` and ``rank``.
        work_dir: The run's.
    """
    write_text(_path(diagnosis, work_dir), json.dumps(_plain(diagnosis), indent=2) + '\n')


def sentence(diagnoses: Sequence[Mapping], work_dir: str) -> str:
    """Say in a line which processes had a bad batch, of which images, and where it went bad.

    Args:
        diagnoses: Those of all processes, by rank.
        work_dir: The run's.
    """
    culprits = [each for each in diagnoses if each['is_batch_bad']] or list(diagnoses)
    culprits.sort(key=_outputs_before)  # collective operations carry bad numbers to other ranks
    first = culprits[0]
    images = '; '.join(_images(each) for each in culprits[:_RANKS])
    more = f'; {len(culprits) - _RANKS} more ranks' if len(culprits) > _RANKS else ''
    return (
        f'iteration {first["iteration"]}: loss {first["losses"].get("loss")}; {_place(first)}; '
        f'{images}{more}; full report: {_path(first, work_dir)}'
    )


def _outputs_before(diagnosis: Mapping) -> float:
    module = diagnosis['first_bad_module']
    return module['outputs_before'] if module else math.inf


def _path(diagnosis: Mapping, work_dir: str) -> Path:
    name = f'iter_{diagnosis["iteration"]}_rank_{diagnosis["rank"]}.json'
    return Path(work_dir, 'numerics', name)


def _place(diagnosis: Mapping) -> str:
    module = diagnosis['first_bad_module']
    if module:
        return f'the first output that is not finite is that of {module["name"]} ({module["type"]})'
    if diagnosis['bad_buffers']:
        return f'outputs are finite, buffers are not: {", ".join(diagnosis["bad_buffers"])}'
    names = diagnosis['bad_gradients_of_batch'] or diagnosis['bad_gradients']
    return f'outputs are finite, gradients are not or are too large, of {names[:3]} first'


def _images(diagnosis: Mapping) -> str:
    files = ', '.join(diagnosis['images'][:LISTED]) or 'files unknown'
    return f'images of rank {diagnosis["rank"]}: {files}'


def _plain(value: object) -> object:
    """Values that JSON has: it has no name for numbers that are not finite."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
