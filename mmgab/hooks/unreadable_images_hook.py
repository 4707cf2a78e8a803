"""A hook that logs which images a run trained without."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmgab.datasets.unreadable_files import UnreadableFiles
from mmgab.printable_text import printable
from mmgab.registry import HOOKS

_SHOWN = 10


@HOOKS.register_module()
class UnreadableImagesHook(Hook):
    """Count and name what :class:`~mmgab.datasets.load_image.LoadImage` left out.

    So are the label maps that :class:`~mmgab.datasets.load_segmentation.LoadSegmentation` left
    out, whose images went with them. At the end of every epoch, and every so many iterations, in
    the log. Each process lists its own in ``WORK_DIR/unreadable_images_rank_R.txt``, a line each
    time, in UTF-8: characters of names that are not are written as escapes.

    Args:
        interval: Iterations.

    Raises:
        ValueError: If the interval is not positive.
    """

    def __init__(self, interval: int = 1000) -> None:
        if interval < 1:
            raise ValueError(f'UnreadableImagesHook: interval must be at least 1, got {interval}')
        self.interval = interval
        self._logged = 0  # bytes of the list that were logged

    def before_train(self, runner: Runner) -> None:
        """Record unreadable images; workers start after this.

        Raises:
            ValueError: If nothing in the training pipeline can skip images.
        """
        found = list(_unreadable_files(runner.train_dataloader.dataset))
        if not found:
            raise ValueError(
                "UnreadableImagesHook: no dict(type='mmgab.LoadImage', unreadable='skip') and no "
                "dict(type='mmgab.LoadSegmentation', unreadable='skip') in the training pipeline, "
                'so no image would be skipped'
            )
        self._record = Path(runner.work_dir, f'unreadable_images_rank_{runner.rank}.txt')
        self._logged = self._record.stat().st_size if self._record.exists() else 0
        for files in found:
            files.record = self._record

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Log skipped images every ``interval`` iterations."""
        if self.every_n_train_iters(runner, self.interval):
            self._tell(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        """Log the images skipped in the epoch."""
        self._tell(runner)

    def _tell(self, runner: Runner) -> None:
        if not self._record.exists():
            return
        with open(self._record, 'rb') as file:
            file.seek(self._logged)
            lines = file.read().decode(errors='replace').splitlines()
            self._logged = file.tell()
        if lines:
            often = Counter(lines).most_common()
            named = '; '.join(line for line, _ in often[:_SHOWN])
            more = f' and {len(often) - _SHOWN} more' if len(often) > _SHOWN else ''
            runner.logger.warning(
                f'{len(often)} images or label maps could not be read, {len(lines)} times, '
                f'and were replaced by other samples: {named}{more}; full list: '
                f'{printable(str(self._record))}'
            )


def _unreadable_files(dataset: object) -> Iterator[UnreadableFiles]:
    """Collect the records of files that transforms skip, in nested datasets."""
    for transform in getattr(getattr(dataset, 'pipeline', None), 'transforms', ()):
        if isinstance(getattr(transform, 'unreadable', None), UnreadableFiles):
            yield transform.unreadable
    inner = [getattr(dataset, 'dataset', None), *getattr(dataset, 'datasets', ())]
    for each in inner:
        if each is not None and each is not dataset:
            yield from _unreadable_files(each)
