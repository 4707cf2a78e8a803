"""The checkpoint to resume from: the one of the latest iteration that can be read."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from mmgab.checkpoints import read_checkpoint
from mmgab.checkpoints.matching import grouped

from .finite_numbers import named_floats, not_finite

LAST = 'last_checkpoint'  # MMEngine's file with the path of the latest
INTERRUPTED = 'interrupted.pth'
_TEMPLATES = ('epoch_{}.pth', 'iter_{}.pth')
_REMOTE = '://'
_LONGEST_PATH = 4096
_STATE = ('state_dict', 'optimizer', 'ema_state_dict')


def newest_checkpoint(
    work_dir: str | Path,
    trust: bool = False,
    out_dir: str | None = None,
    template: str | None = None,
) -> tuple[str | None, list[str]]:
    """Find the checkpoint of the latest iteration that can be resumed from.

    Only files in the run's own folders that have the names of a run's checkpoints are looked at,
    and the iterations that they hold decide. What ``last_checkpoint`` names is taken where that is
    an address of ``out_dir``; among files of one iteration it comes first; else it says nothing,
    as in a folder that was copied.

    Args:
        work_dir: The run's folder.
        trust: Run code that the files contain.
        out_dir: Where the checkpoint hook saves, if not in the work dir: the folder or address in
            which it makes a folder of the work dir's name.
        template: Names of checkpoints, such as ``'epoch_{}.pth'``, if not MMEngine's.

    Returns:
        Its path, or None where there is no checkpoint at all; and a sentence for each file that was
        skipped.

    Raises:
        ValueError: If there are checkpoints and none can be resumed from.
    """
    work_dir = Path(work_dir)
    noted = _noted(work_dir / LAST)
    folder = f'{out_dir.rstrip("/")}/{work_dir.resolve().name}' if out_dir else str(work_dir)
    if noted is not None and _REMOTE in folder and noted.startswith(f'{folder}/'):
        return noted, []
    paths = list(_candidates({work_dir, Path(folder)}, template))
    skipped = [] if paths else _said_of_a_note(work_dir, noted)
    iterations: dict[Path, int] = {}
    for path in paths:
        try:
            iterations[path] = _iteration(path, trust)
        except (OSError, ValueError) as error:
            skipped.append(f'{path} is skipped: {error}')
    name = None if noted is None else Path(noted).name

    def order(path: Path) -> tuple:
        return iterations[path], path.name == name, path.name == INTERRUPTED, str(path)

    for path in sorted(iterations, key=order, reverse=True):
        reason = _unfit(path, trust)
        if reason is None:
            return str(path), skipped
        skipped.append(f'{path} is skipped: {reason}')
    if paths:
        raise ValueError(
            f'no checkpoint of {work_dir} can be resumed from: {"; ".join(skipped)}. To start from '
            'scratch, take another work dir or delete what is there'
        )
    return None, skipped


def _noted(path: Path) -> str | None:
    """The path in MMEngine's note; None where there is none, or something that is no path."""
    if not path.is_file():
        return None
    with open(path, 'rb') as file:
        content = file.read(_LONGEST_PATH + 1)
    try:
        text = content.decode().strip()
    except UnicodeDecodeError:
        return None
    return text if 0 < len(content) <= _LONGEST_PATH and text.isprintable() else None


def _said_of_a_note(work_dir: Path, noted: str | None) -> list[str]:
    if not (work_dir / LAST).exists():
        return []
    what = f'names {noted}, which is not in the work dir' if noted else 'holds no path'
    return [f'{work_dir / LAST} {what}; --resume PATH resumes from any file']


def _candidates(folders: set[Path], template: str | None) -> Iterator[Path]:
    """Files with the names of a run's checkpoints, each once."""
    templates = [*_TEMPLATES, *([template] if template else [])]
    numbered = '|'.join(re.escape(each).replace(re.escape('{}'), r'\d+') for each in templates)
    name = re.compile(f'{numbered}|{re.escape(INTERRUPTED)}')
    found = {}
    for folder in sorted(folders):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if name.fullmatch(path.name) and path.is_file():
                found.setdefault(path.resolve(), path)
    return iter(found.values())


def _iteration(path: Path, trust: bool) -> int:
    """The iteration that a checkpoint was saved after; its tensors are not read."""
    meta = read_checkpoint(path, 'meta', trust=trust).get('meta')
    iteration = meta.get('iter') if isinstance(meta, Mapping) else None
    if type(iteration) is not int:
        raise ValueError(f'it has no iteration: meta.iter is {iteration!r:.100}')
    return iteration


def _unfit(path: Path, trust: bool) -> str | None:
    """Why a file cannot be resumed from, if so."""
    try:
        checkpoint = read_checkpoint(path, trust=trust)
    except (OSError, ValueError) as error:
        return str(error)
    if not {'meta', 'optimizer', 'state_dict'} <= checkpoint.keys():
        return 'it holds no state of an optimizer, as files made for testing'
    for part in _STATE:
        floats = {id(tensor): (name, tensor) for name, tensor in named_floats(checkpoint.get(part))}
        if bad := not_finite(list(floats.values())):
            return f'its {part} has values that are not finite: {grouped(bad)}'
    return None
