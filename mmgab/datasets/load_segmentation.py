"""Load label maps; name unreadable files, and optionally skip them."""

from mmcv.transforms import BaseTransform

from mmgab.registry import TRANSFORMS

from .image_file import MAX_BYTES, MAX_PIXELS, bounded, pillow_limit
from .unreadable_files import UnreadableFiles


@TRANSFORMS.register_module()
class LoadSegmentation(BaseTransform):
    """MMSegmentation's ``LoadAnnotations`` with an option to skip unreadable label maps.

    The complete sample is skipped, as in :class:`~mmgab.datasets.load_image.LoadImage`.

    Args:
        unreadable: ``'stop'`` the run, or ``'skip'`` the sample.
        max_bytes: Maximum size of a local file; None for any. Only regular files are read.
        max_pixels: Maximum width times height; None for any.
        backend_args: MMEngine's file backend; None for local files.
        **kwargs: Further arguments of MMSegmentation's transform.

    Raises:
        ValueError: If ``unreadable`` is neither, or a limit is not positive.
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
        """Load ``seg_map_path``; return None if it is unreadable and skipped.

        Raises:
            ValueError: If it is unreadable and not skipped; the message names the file. Also
                after 1000 skipped label maps in a row.
        """
        with pillow_limit(self.max_pixels):
            return self.unreadable.load(
                self.annotations, results, f'label map {results["seg_map_path"]}'
            )

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.annotations})'
