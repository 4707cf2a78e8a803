"""The checkpoint to go on from: the newest one that can be read."""

from collections.abc import Iterator
from pathlib import Path

from mmgab.checkpoints import read_checkpoint

LAST = 'last_checkpoint'  # MMEngine's file with the path of the latest
_REMOTE = '://'
_BEST = 'best_'  # MMEngine's copies for testing: no optimizer


def newest_checkpoint(work_dir: str, trust: bool = False) -> tuple[str | None, list[str]]:
    """Find the newest checkpoint of a run that reads.

    Args:
        work_dir: The run's folder. Where its ``last_checkpoint`` names a file elsewhere, that
            folder is searched as well; an address is taken as it is.
        trust: Run code that the files carry.

    Returns:
        Its path, ``None`` where there is no checkpoint at all, and a sentence for each newer one
        that was skipped.

    Raises:
        ValueError: If there are checkpoints and none can be read.
    """
    pointer = Path(work_dir, LAST)
    named = pointer.read_text().strip() if pointer.is_file() else ''
    if _REMOTE in named:
        return named, []
    skipped = []
    if named and not Path(named).is_file():
        skipped.append(f'{pointer} names {named}, which does not exist')
    for path in _newest_first(Path(work_dir), pointer, Path(named) if named else None):
        reason = _unfit(path, trust)
        if reason is None:
            return str(path), skipped
        skipped.append(f'{path} is skipped: {reason}')
    if skipped:
        raise ValueError(
            f'no checkpoint of {work_dir} can be resumed from: {"; ".join(skipped)}. To begin '
            'anew, take another work dir or delete what is there'
        )
    return None, []


def _newest_first(work_dir: Path, pointer: Path, named: Path | None) -> Iterator[Path]:
    """Candidates: first those written after the note, then what it names, then the rest, by time.

    A run that is killed between a checkpoint and its note has the file. Times of files that were
    copied say little: those without a later iteration than what is named come after it.
    """
    folders = {work_dir} | ({named.parent} if named else set())
    paths = {path for folder in folders for path in folder.glob('*.pth') if path.is_file()}
    paths = {path for path in paths if not path.name.startswith((_BEST, '.'))}
    if named is None or not named.is_file():
        yield from sorted(paths, key=_age, reverse=True)
        return
    others = sorted((p for p in paths if p.resolve() != named.resolve()), key=_age, reverse=True)
    noted = pointer.stat().st_mtime_ns
    later = [path for path in others if path.stat().st_mtime_ns > noted]
    if later:  # as a rule there are none, and large files are not read to find that out
        reached = _iteration(named)
        later = [path for path in later if _iteration(path) > reached]
    yield from later
    yield named
    yield from (path for path in others if path not in later)


def _age(path: Path) -> tuple[int, str]:
    return path.stat().st_mtime_ns, path.name


def _iteration(path: Path) -> int:
    """The iteration that a checkpoint is of; -1 where that cannot be read."""
    try:
        return int(read_checkpoint(path)['meta']['iter'])
    except (OSError, ValueError, KeyError, TypeError):
        return -1


def _unfit(path: Path, trust: bool) -> str | None:
    """Why a file cannot be resumed from, if so."""
    try:
        checkpoint = read_checkpoint(path, trust=trust)
    except (OSError, ValueError) as error:
        return str(error)
    if not {'meta', 'optimizer', 'state_dict'} <= checkpoint.keys():
        return 'it holds no state of an optimizer, as files made for testing'
    return None
