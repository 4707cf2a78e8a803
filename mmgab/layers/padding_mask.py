"""Which tokens are of an image, in a batch whose images are padded to a common canvas."""

from collections.abc import Sequence
from operator import mul

import torch
from torch import Tensor

from .validation import positive_pair


class PaddingMask:
    """What the shapes of a batch's images, without their padding, say of a network's tokens.

    Args:
        patch_size: Height and width of a token of the first stage, in pixels.
        strides: Of the patch mergings between stages.
    """

    def __init__(
        self, patch_size: tuple[int, int], strides: Sequence[int | tuple[int, int]]
    ) -> None:
        self._sides = [patch_size]  # of a token of each stage, in pixels
        for stride in strides:
            side = tuple(map(mul, self._sides[-1], positive_pair('strides', stride)))
            self._sides.append(side)

    def real_tokens(
        self,
        shapes: Sequence[tuple[int, int]] | None,
        stage: int,
        x: Tensor,
        grid: tuple[int, int],
    ) -> Tensor | None:
        """Tokens that see a pixel of their image.

        Args:
            shapes: Height and width of each image in pixels; None where they are not known.
            stage: Stage of the tokens.
            x: The tokens, ``(B, H * W, C)``.
            grid: ``(H, W)``.

        Returns:
            ``(B, H * W)``, or None where all are real or shapes are not known.

        Raises:
            ValueError: If shapes are of another number of images, or an image has no pixels, and so
                no tokens.
        """
        if shapes is None:
            return None
        if len(shapes) != len(x):
            raise ValueError(
                f'image shapes are those of {len(shapes)} images, and the batch has {len(x)}; '
                'without mmgab.ImageShapesHook they are not known, and means are over padding too'
            )
        for index, shape in enumerate(shapes):
            if min(shape) < 1:
                raise ValueError(f'image {index} of the batch has no pixels: its shape is {shape}')
        rows, cols = (
            [-(-shape[axis] // self._sides[stage][axis]) for shape in shapes] for axis in (0, 1)
        )
        if min(rows) >= grid[0] and min(cols) >= grid[1]:
            return None
        is_row, is_col = (
            torch.arange(side, device=x.device) < torch.tensor(count, device=x.device)[:, None]
            for side, count in zip(grid, (rows, cols), strict=True)
        )
        return (is_row[:, :, None] & is_col[:, None, :]).flatten(1)
