"""Padding mask of the tokens of a batch whose images are padded to a common size."""

from collections.abc import Sequence
from operator import mul

import torch
from torch import Tensor

from .validation import positive_pair


class PaddingMask:
    """Padding masks of a network's stages, from the unpadded shapes of a batch's images.

    Args:
        patch_size: Height and width of a token of the first stage, in pixels.
        strides: Strides of the patch mergings between stages.
    """

    def __init__(
        self, patch_size: tuple[int, int], strides: Sequence[int | tuple[int, int]]
    ) -> None:
        self._sides = [patch_size]  # of a token of each stage, in pixels
        for stride in strides:
            side = tuple(map(mul, self._sides[-1], positive_pair('strides', stride)))
            self._sides.append(side)

    def valid_tokens(
        self,
        shapes: Sequence[tuple[int, int]] | None,
        stage: int,
        x: Tensor,
        grid: tuple[int, int],
    ) -> Tensor | None:
        """Return the mask of valid tokens: those that cover at least one pixel of their image.

        Args:
            shapes: Height and width of each image in pixels without padding; None if unknown.
            stage: Stage of the tokens.
            x: The tokens, ``(B, H * W, C)``.
            grid: ``(H, W)``.

        Returns:
            Boolean ``(B, H * W)``, True where a token belongs to the image, False for padding;
            None if all tokens are valid or the shapes are unknown.

        Raises:
            ValueError: If the number of shapes is not the batch size, or an image has no pixels.
        """
        if shapes is None:
            return None
        if len(shapes) != len(x):
            raise ValueError(
                f'image_shapes must have one entry for each of the {len(x)} images of the batch, '
                f'got {len(shapes)}; mmgab.ImageShapesHook passes them, and without it means '
                'include padding'
            )
        for index, shape in enumerate(shapes):
            if min(shape) < 1:
                raise ValueError(
                    f'image_shapes[{index}] must have sides of at least 1 pixel, got {shape}'
                )
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
