"""Loading of label maps that says which of them cannot be read, and need not stop for one."""

from mmcv.transforms import BaseTransform

from mmgab.registry import TRANSFORMS

from .image_file import MAX_BYTES, MAX_PIXELS, bounded, pillow_limit
from .unreadable_files import UnreadableFiles


@TRANSFORMS.register_module()
class LoadSegmentation(BaseTransform):
    """MMSegmentation's ``LoadAnnotations``, which may leave out a label map that cannot be read.

    The sample goes with it, as with an image in :class:`~mmgab.datasets.load_image.LoadImage`.

    Args:
        unreadable: ``'stop'`` the run, or ``'skip'`` the sample.
        max_bytes: Size of a local file at most; None for any. Only regular files are read.
        max_pixels: Width times height at most; None for any.
        backend_args: MMEngine's file backend; None for local files.
        **kwargs: Further arguments of MMSegmentation's transform.

    Raises:
        ValueError: If ``unreadable`` is neither, or a bound is not positive.
        KeyError: If MMSegmentation is not installed.
    """

    def __init__(
        self,
        unreadable: str = 'stop',
        max_bytes: int | None = MAX_BYTES,
        max_pixels: int | None = MAX_PIXELS,
        backend_args: dict | None = None,
        **kwargs: object,
    ) -> None:
        self.unreadable = UnreadableFiles(unreadable, 'LoadSegmentation')
        self.max_pixels = max_pixels
        within = bounded(backend_args, max_bytes, max_pixels)
        self.annotations = TRANSFORMS.build(
            dict(type='mmseg.LoadAnnotations', backend_args=within, **kwargs)
        )

    def transform(self, results: dict) -> dict | None:
        """Load ``seg_map_path``; ``None`` where it cannot be read and is to be skipped.

        Raises:
            ValueError: If it cannot be read and is not to be skipped; the message names it. Also
                where 1000 label maps in a row are to be skipped.
        """
        with pillow_limit(self.max_pixels):
            return self.unreadable.load(
                self.annotations, results, f'label map {results["seg_map_path"]}'
            )

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.annotations})'
