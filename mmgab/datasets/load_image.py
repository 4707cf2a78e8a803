"""Loading of images that says which of them cannot be read, and need not stop for one."""

from mmcv.transforms import LoadImageFromFile

from mmgab.registry import TRANSFORMS

from .image_file import MAX_BYTES, MAX_PIXELS, bounded, pillow_limit
from .unreadable_files import UnreadableFiles


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """MMCV's ``LoadImageFromFile``, which may leave out a training image that cannot be read.

    MMEngine's data sets then take another image, drawn at random, in its place. With
    :class:`~mmgab.reliability.UnreadableImagesHook` the ones left out are counted and named.

    Args:
        *args: MMCV's arguments.
        unreadable: ``'stop'`` the run, or ``'skip'`` the image.
        max_bytes: Size of a local file at most; None for any. Only regular files are read.
        max_pixels: Width times height at most; None for any. An image with more may be a
            decompression bomb. Pillow must be able to read the header: only None leaves formats
            that it does not know, Radiance HDR for example, to the decoder.
        **kwargs: MMCV's arguments.

    Raises:
        ValueError: If ``unreadable`` is neither, a bound is not positive, or MMCV's deprecated
            ``file_client_args`` is given: ``backend_args`` has taken its place.
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
        """Load ``img_path``; ``None`` where it cannot be read and is to be skipped.

        Raises:
            ValueError: If it cannot be read and is not to be skipped; the message names it. Also
                where 1000 images in a row are to be skipped.
        """
        with pillow_limit(self.max_pixels):
            return self.unreadable.load(super().transform, results, f'image {results["img_path"]}')
