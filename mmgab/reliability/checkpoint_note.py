"""MMEngine's file ``last_checkpoint``: the path of the latest checkpoint of a work dir."""

from pathlib import Path

LAST = 'last_checkpoint'
_LONGEST_PATH = 4096


def noted_path(work_dir: Path) -> str | None:
    """Read the path or address in it; None where there is no such file, or it contains no path."""
    note = work_dir / LAST
    if not note.is_file():
        return None
    with open(note, 'rb') as file:
        content = file.read(_LONGEST_PATH + 1)
    try:
        text = content.decode().strip()
    except UnicodeDecodeError:
        return None
    return text if 0 < len(content) <= _LONGEST_PATH and text.isprintable() else None


def last_checkpoint(work_dir: Path) -> Path | None:
    """Find the file of a work dir that ``last_checkpoint`` names, also where the folder was moved.

    Returns:
        Its path; None if no path is recorded or the file does not exist.

    Raises:
        ValueError: If the content of ``last_checkpoint`` is not a path.
    """
    note, noted = work_dir / LAST, noted_path(work_dir)
    if noted is None:
        if note.is_file() and note.stat().st_size:
            raise ValueError(
                f'{note} must contain the path of a checkpoint; delete it if it does not'
            )
        return None
    path = work_dir / Path(noted).name
    return path if path.is_file() else None
