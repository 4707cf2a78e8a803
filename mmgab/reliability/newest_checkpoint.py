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
    for path in _newest_first({Path(work_dir), Path(named or work_dir).parent}, named):
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


def _newest_first(folders: set[Path], named: str) -> Iterator[Path]:
    """Checkpoints by time; of the same time the one that was noted as the latest first."""
    paths = [path for folder in folders for path in folder.glob('*.pth') if path.is_file()]
    paths = [path for path in paths if not path.name.startswith((_BEST, '.'))]
    latest = Path(named).resolve()

    def age(path: Path) -> tuple[int, bool, str]:
        return path.stat().st_mtime_ns, path.resolve() == latest, path.name

    yield from sorted(paths, key=age, reverse=True)


def _unfit(path: Path, trust: bool) -> str | None:
    """Why a file cannot be resumed from, if so."""
    try:
        checkpoint = read_checkpoint(path, trust=trust)
    except (OSError, ValueError) as error:
        return str(error)
    if not {'meta', 'optimizer', 'state_dict'} <= checkpoint.keys():
        return 'it holds no state of an optimizer, as files made for testing'
    return None
