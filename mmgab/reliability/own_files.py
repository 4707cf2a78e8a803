"""The files of a run's checkpoint hook, among all that lie in its folder."""

import os
import re
from pathlib import PurePath
from string import Formatter

from mmengine.fileio.backends import BaseStorageBackend

from .checkpoint_search import INTERRUPTED

ANY_METRIC = 'auto'  # MMEngine's word for the first metric that is measured
_LONGEST_NAME = 255  # of a file, on Linux


class OwnFiles:
    """Regular files in a folder that have a name which the hook gives.

    Links, folders and files with other names are not its own, whatever a checkpoint lists.

    Args:
        backend: MMEngine's access to the folder.
        folder: Path or address of the folder.
        template: Name of the checkpoint of a step, such as ``'epoch_{}.pth'``.
    """

    def __init__(self, backend: BaseStorageBackend, folder: str, template: str) -> None:
        self.folder = folder
        self._backend = backend
        self._template = template
        self._form = re.compile(
            ''.join(
                re.escape(text) + ('' if field is None else '([0-9]{1,99})')
                for text, field, *_ in Formatter().parse(template)
            )
        )

    def path(self, name: str) -> str:
        """Path of a file in the folder."""
        return self._backend.join_path(self.folder, name)

    def names(self) -> set[str]:
        """Names of all that lies in the folder."""
        is_there = self._backend.isdir(self.folder)
        return set(self._backend.list_dir_or_file(self.folder)) if is_there else set()

    def has(self, name: str) -> bool:
        """Return whether a regular file of that name lies in the folder."""
        path = self.path(name)
        return self._backend.isfile(path) and not os.path.islink(path)

    def delete(self, name: str) -> None:
        """Delete a file if it is there.

        Raises:
            OSError: If it cannot be deleted.
        """
        if self.has(name):
            self._backend.remove(self.path(name))

    def is_here(self, source: str) -> bool:
        """Return whether a path leads to a file in the folder."""
        path = self.path(PurePath(source).name)
        if path == source:
            return True
        return os.path.exists(path) and os.path.exists(source) and os.path.samefile(path, source)

    def regular_name(self, step: int) -> str:
        """Name of the checkpoint of an epoch or iteration."""
        return self._template.format(step)

    def best_name(self, metric: str, step: int) -> str:
        """Name of the checkpoint with the best value of a metric."""
        return f'best_{metric}_{self.regular_name(step)}'.replace('/', '_')

    def step_of(self, name: str) -> int | None:
        """The step of a regular checkpoint; None for other names."""
        match = self._form.fullmatch(name)
        if match is None or not match.groups():
            return None
        step = int(match[1])
        return step if self.regular_name(step) == name else None

    def is_best(self, name: str, metric: str) -> bool:
        """Return whether it is the name of a best checkpoint, of a metric or of any."""
        start = 'best_' if metric == ANY_METRIC else f'best_{metric}_'.replace('/', '_')
        if len(name) > _LONGEST_NAME or not name.startswith(start):
            return False
        ends = [name[len(start) :]]
        if metric == ANY_METRIC:  # its name may have underscores
            ends = [ends[0][mark.end() :] for mark in re.finditer('_', ends[0])]
        return any(self.step_of(end) is not None for end in ends)

    def is_replaceable(self, name: str) -> bool:
        """Return whether it is the name of a checkpoint that another one makes outdated."""
        return name == INTERRUPTED or self.is_best(name, ANY_METRIC)
