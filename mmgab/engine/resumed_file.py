"""The file that a run resumes from: found by the first process, and read once by each."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import broadcast_object_list, is_main_process

from mmgab.checkpoints import read_checkpoint
from mmgab.reliability.checkpoint_search import Newest, read_newest

from .resumed_state import resumed_state


class ResumedFile:
    """A checkpoint to resume from, the same in all processes; each of them makes this object.

    The first process reads the file to find it, and holds its contents until they are taken. The
    others read it when they load it.

    Args:
        config: Of the run.
        work_dir: Its folder.

    Attributes:
        path: Where the file is; None where there is no checkpoint.
        skipped: A sentence for each file that was skipped.
        seed: Of the run that saved it; None where the file does not tell.

    Raises:
        ValueError: If the folder has checkpoints and none can be resumed from.
    """

    def __init__(self, config: Config, work_dir: str) -> None:
        self._checkpoint: Mapping | None = None
        facts: list[tuple[str | None, list[str], int | None]] = [(None, [], None)]
        if is_main_process():
            newest = _find(config, work_dir)
            self._checkpoint = newest.checkpoint
            facts = [(newest.path, newest.skipped, _seed_of(newest))]
        broadcast_object_list(facts)
        self.path, self.skipped, self.seed = facts[0]

    def take(self, path: str) -> Mapping | None:
        """Hand over what was read from a file, and hold it no longer; None where it was not read.

        Args:
            path: Which file is wanted.
        """
        checkpoint, self._checkpoint = self._checkpoint, None
        return checkpoint if path == self.path else None


def read_newest_of_run(config: Config, folder: str | Path) -> Newest:
    """Find and read the newest checkpoint in a folder of a run; see :func:`read_newest`."""
    hook = checkpoint_hook_settings(config)
    is_trusted = config.get('trust_checkpoints', False)
    return read_newest(folder, is_trusted, hook.get('out_dir'), hook.get('filename_tmpl'))


def checkpoint_hook_settings(config: Config) -> Mapping:
    """The settings of a config's checkpoint hook; empty where it has none."""
    return (config.get('default_hooks') or {}).get('checkpoint') or {}


def _find(config: Config, work_dir: str) -> Newest:
    path = config.get('load_from')
    if path is None:
        return read_newest_of_run(config, work_dir)
    with suppress(OSError, ValueError):  # reported when the run is resumed
        is_trusted = config.get('trust_checkpoints', False)
        return Newest(path, read_checkpoint(path, trust=is_trusted), [])
    return Newest(path, None, [])


def _seed_of(newest: Newest) -> int | None:
    if newest.path is None or newest.checkpoint is None:
        return None
    with suppress(ValueError):  # reported when the run is resumed
        return resumed_state(newest.checkpoint, newest.path)['meta'].get('seed')
    return None
