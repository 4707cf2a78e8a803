"""The checkpoint to resume from: the one of the latest iteration that can be read."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mmgab.checkpoints import read_checkpoint
from mmgab.checkpoints.matching import grouped

from .checkpoint_note import LAST, noted_path
from .finite_numbers import named_floats, not_finite

INTERRUPTED = 'interrupted.pth'
_TEMPLATES = ('epoch_{}.pth', 'iter_{}.pth')
_REMOTE = '://'
_STATE = ('state_dict', 'optimizer', 'ema_state_dict')


@dataclass(frozen=True)
class Newest:
    """The checkpoint to resume from.

    Attributes:
        path: Where it is; None where there is no checkpoint at all.
        checkpoint: What was read from it; None where it is an address, which is not read here.
        skipped: A sentence for each file that was skipped.
    """

    path: str | None
    checkpoint: Mapping | None
    skipped: list[str]


def newest_checkpoint(
    work_dir: str | Path,
    trust: bool = False,
    out_dir: str | None = None,
    template: str | None = None,
) -> tuple[str | None, list[str]]:
    """Find the checkpoint of the latest iteration that can be resumed from.

    See :func:`read_newest`.

    Returns:
        Its path, or None where there is no checkpoint at all; and a sentence for each file that was
        skipped.
    """
    newest = read_newest(work_dir, trust, out_dir, template)
    return newest.path, newest.skipped


def read_newest(
    work_dir: str | Path,
    trust: bool = False,
    out_dir: str | None = None,
    template: str | None = None,
) -> Newest:
    """Find and read the checkpoint of the latest iteration that can be resumed from.

    Only files in the run's own folders that have the names of a run's checkpoints are looked at,
    and the iterations that they hold decide. What ``last_checkpoint`` names is taken where that is
    an address of ``out_dir``; among files of one iteration it comes first; else it says nothing,
    as in a folder that was copied.

    The file that ``last_checkpoint`` names, or else the one written last, is read completely. Of
    the others the iterations are read, and no tensors: each file is read once unless another one
    than expected is the newest.

    Args:
        work_dir: The run's folder.
        trust: Run code that the files contain.
        out_dir: Where the checkpoint hook saves, if not in the work dir: the folder or address in
            which it makes a folder of the work dir's name.
        template: Names of checkpoints, such as ``'epoch_{}.pth'``, if not MMEngine's.

    Raises:
        ValueError: If there are checkpoints and none can be resumed from.
    """
    work_dir = Path(work_dir)
    noted = noted_path(work_dir)
    folder = f'{out_dir.rstrip("/")}/{work_dir.resolve().name}' if out_dir else str(work_dir)
    if noted is not None and _REMOTE in folder and noted.startswith(f'{folder}/'):
        return Newest(noted, None, [])
    paths = list(_candidates({work_dir, Path(folder)}, template))
    if not paths:
        return Newest(None, None, _note_problems(work_dir, noted))
    name = None if noted is None else Path(noted).name
    files, skipped = _Files(trust), []
    with suppress(OSError, ValueError):  # which the second reading reports, where that matters
        files.read(max(paths, key=lambda path: (path.name == name, path.stat().st_mtime)))
    iterations: dict[Path, int] = {}
    for path in paths:
        try:
            iterations[path] = files.iteration(path)
        except (OSError, ValueError) as error:
            skipped.append(f'{path} is skipped: {error}')

    def order(path: Path) -> tuple:
        return iterations[path], path.name == name, path.name == INTERRUPTED, str(path)

    for path in sorted(iterations, key=order, reverse=True):
        reason = files.unfit(path)
        if reason is None:
            return Newest(str(path), files.read(path), skipped)
        skipped.append(f'{path} is skipped: {reason}')
    raise ValueError(
        f'no checkpoint of {work_dir} can be resumed from: {"; ".join(skipped)}. To start from '
        'scratch, use another work dir or delete its checkpoints'
    )


class _Files:
    """Checkpoint files, of which the one that was read last is held.

    Args:
        trust: Run code that they contain.
    """

    def __init__(self, trust: bool) -> None:
        self._trust = trust
        self._path: Path | None = None
        self._checkpoint: Mapping = {}

    def read(self, path: Path) -> Mapping:
        """Read a file completely, unless it is the one that is held."""
        if path != self._path:
            self._path, self._checkpoint = None, {}  # a file may be as large as the memory
            self._checkpoint = read_checkpoint(path, trust=self._trust)
            self._path = path
        return self._checkpoint

    def iteration(self, path: Path) -> int:
        """Read the iteration of a checkpoint, without its tensors."""
        is_held = path == self._path
        checkpoint = self._checkpoint if is_held else read_checkpoint(path, 'meta', self._trust)
        meta = checkpoint.get('meta')
        iteration = meta.get('iter') if isinstance(meta, Mapping) else None
        if type(iteration) is not int:
            raise ValueError(f'it has no iteration: meta.iter is {iteration!r:.100}')
        return iteration

    def unfit(self, path: Path) -> str | None:
        """Return why a file cannot be resumed from; None if it can."""
        try:
            checkpoint = self.read(path)
        except (OSError, ValueError) as error:
            return str(error)
        if not {'meta', 'optimizer', 'state_dict'} <= checkpoint.keys():
            return 'it has no optimizer state; it may be an exported or published file'
        for part in _STATE:
            named = named_floats(checkpoint.get(part))
            floats = {id(tensor): (name, tensor) for name, tensor in named}
            if bad := not_finite(list(floats.values())):
                return f'its {part} has non-finite values: {grouped(bad)}'
        return None


def _note_problems(work_dir: Path, noted: str | None) -> list[str]:
    if not (work_dir / LAST).exists():
        return []
    what = f'lists {noted}, which is not in the work dir' if noted else 'contains no path'
    return [f'{work_dir / LAST} {what}; --resume PATH resumes from any file']


def _candidates(folders: set[Path], template: str | None) -> Iterator[Path]:
    """Files with the names of a run's checkpoints, each once."""
    templates = [*_TEMPLATES, *([template] if template else [])]
    numbered = '|'.join(re.escape(each).replace(re.escape('{}'), r'\d+') for each in templates)
    name = re.compile(f'{numbered}|{re.escape(INTERRUPTED)}')
    found: dict[Path, Path] = {}
    for folder in sorted(folders):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if name.fullmatch(path.name) and path.is_file():
                found.setdefault(path.resolve(), path)
    return iter(found.values())
