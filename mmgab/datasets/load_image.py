"""Loading of images that says which of them cannot be read, and need not stop for one."""

from pathlib import Path

from mmcv.transforms import LoadImageFromFile

from mmgab.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """MMCV's ``LoadImageFromFile``, which may leave out a training image that cannot be read.

    MMEngine's data sets then take another image, drawn at random, in its place. With
    :class:`~mmgab.reliability.UnreadableImagesHook` the ones left out are counted and named.

    Args:
        *args: MMCV's arguments.
        unreadable: ``'stop'`` the run, or ``'skip'`` the image.
        **kwargs: MMCV's arguments.

    Attributes:
        record: Where to note images that were left out, a line each; None for nowhere.

    Raises:
        ValueError: If ``unreadable`` is neither.
    """

    def __init__(self, *args: object, unreadable: str = 'stop', **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        if unreadable not in ('stop', 'skip'):
            raise ValueError(f"LoadImage: unreadable must be 'stop' or 'skip', got {unreadable!r}")
        self.unreadable = unreadable
        self.record: Path | None = None

    def transform(self, results: dict) -> dict | None:
        """Load ``img_path``; ``None`` where it cannot be read and is to be skipped.

        Raises:
            ValueError: If it cannot be read and is not to be skipped; the message names it.
        """
        try:
            return super().transform(results)
        except Exception as error:  # a decoder raises nearly anything on bytes that are no image
            path = results['img_path']
            reason = f'{type(error).__name__}: {error}'
            if self.unreadable == 'stop':
                raise ValueError(
                    f"image {path} cannot be read ({reason}). LoadImage(unreadable='skip') would "
                    'train without it'
                ) from error
            self._note(f'{path} ({reason})')
            return None

    def _note(self, line: str) -> None:
        if self.record is not None:
            with open(self.record, 'a') as file:  # several workers: each line is one write
                file.write(line.replace('\n', ' ') + '\n')
