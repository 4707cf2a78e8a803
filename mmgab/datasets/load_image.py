"""Load images; name unreadable files, and optionally skip them."""

from mmcv.transforms import LoadImageFromFile

from mmgab.registry import TRANSFORMS

from .image_file import MAX_BYTES, MAX_PIXELS, bounded, pillow_limit
from .unreadable_files import UnreadableFiles


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """MMCV's ``LoadImageFromFile`` with an option to skip unreadable training images.

    MMEngine's datasets replace a skipped image by a random other one.
    :class:`~mmgab.reliability.UnreadableImagesHook` counts and lists the skipped images.

    Args:
        *args: MMCV's arguments.
        unreadable: ``'stop'`` the run, or ``'skip'`` the image.
        max_bytes: Maximum size of a local file; None for any. Only regular files are read.
        max_pixels: Maximum width times height; None for any. A larger image may be a
            decompression bomb. Pillow must be able to read the header; formats that it does not
            support, such as Radiance HDR, need None.
        **kwargs: MMCV's arguments.

    Raises:
        ValueError: If ``unreadable`` is neither, a limit is not positive, or MMCV's deprecated
            ``file_client_args`` is given; use ``backend_args``.
    """

    backend_args: dict | None

    def __init__(
        self,
        *args: object,
        unreadable: str = 'stop',
        max_bytes: int | None = MAX_BYTES,
        max_pixels: int | None = MAX_PIXELS,
        **kwargs: object,
    ) -> None:
        super().__init__(*args, **kwargs)
        if self.file_client_args is not None:
            raise ValueError(
                f'LoadImage: file_client_args={self.file_client_args} is not supported; use '
                'backend_args'
            )
        self.unreadable = UnreadableFiles(unreadable, 'LoadImage')
        self.max_pixels = max_pixels
        self.backend_args = bounded(self.backend_args, max_bytes, max_pixels)

    def transform(self, results: dict) -> dict | None:
        """Load ``img_path``; return None if it is unreadable and skipped.

        Raises:
            ValueError: If it is unreadable and not skipped; the message names the file. Also
                after 1000 skipped images in a row.
        """
        with pillow_limit(self.max_pixels):
            return self.unreadable.load(super().transform, results, f'image {results["img_path"]}')
