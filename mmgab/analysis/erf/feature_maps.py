"""Conversion of any layer's output to a feature map ``(B, C, H, W)``."""

import difflib
from collections.abc import Callable, Iterator, Sequence

from torch import Tensor, nn

# Prefix tokens: none; class; class and distillation; class and four registers.
_PREFIXES = (0, 1, 2, 5)
# Strides of networks that halve their maps, and of patches of 14 pixels.
_STRIDES = (1, 2, 4, 8, 14, 16, 28, 32, 64, 128)


class FeatureError(ValueError):
    """Raised if the layer does not exist, or its output is not a feature map."""


def layer_features(
    model: nn.Module,
    layer: str,
    run: Callable[[Tensor], object] | None = None,
    out_index: int | None = None,
) -> Callable[[Tensor], Tensor]:
    """Return a function from images to a layer's feature map.

    Args:
        model: The network.
        layer: Name of the layer, as in ``model.named_modules()``; ``''`` for the network itself.
        run: Forward pass of the network, ``model`` by default. It stops after the layer.
        out_index: Index of the map if the layer returns several; negative indices count from the
            end. The default for a Swin stage is its map before patch merging.

    Raises:
        FeatureError: If there is no such layer. The returned function raises it if the layer was
            not called or did not return a feature map.
    """
    modules = dict(model.named_modules())
    if layer not in modules:
        nearest = difflib.get_close_matches(layer, modules, n=3, cutoff=0.4)
        hint = f'; did you mean {", ".join(nearest)}?' if nearest else ''
        raise FeatureError(f'{type(model).__name__} has no layer {layer!r}{hint}')

    def features(images: Tensor) -> Tensor:
        with modules[layer].register_forward_hook(_leave):
            try:
                (run or model)(images)
            except _Reached as reached:
                output = reached.output
            else:
                raise FeatureError(f'the layer {layer!r} was not called in the forward pass')
        height, width = images.shape[-2:]
        return as_map(_choose(output, layer, out_index), (height, width), layer)

    return features


def as_map(output: Tensor, image_size: tuple[int, int], source: str = 'the output') -> Tensor:
    """Convert a layer's output to ``(B, C, H, W)``.

    Args:
        output: ``(B, C, H, W)``, ``(B, H, W, C)`` or tokens ``(B, N, C)`` with at most five prefix
            tokens.
        image_size: Height and width of the images in pixels, from which the grid is inferred.
        source: Name of the output in error messages.

    Raises:
        FeatureError: If the output has none of these forms.
    """
    grids = set(_grids(image_size))
    if output.ndim == 4:
        is_first, is_last = tuple(output.shape[2:]) in grids, tuple(output.shape[1:3]) in grids
        if is_first != is_last:
            return output if is_first else output.permute(0, 3, 1, 2)
    if output.ndim == 3:
        for prefix in _PREFIXES:
            fitting = [grid for grid in grids if grid[0] * grid[1] == output.shape[1] - prefix]
            if len(fitting) == 1:
                return output[:, prefix:].transpose(1, 2).unflatten(2, fitting[0])
    raise FeatureError(
        f'{source} is not a feature map of images of {image_size[0]} x {image_size[1]} pixels: its '
        f'shape is {tuple(output.shape)}'
    )


def _grids(image_size: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Yield the token grids of an image at common strides, with padded or cropped edges."""
    height, width = image_size
    for stride in _STRIDES:
        yield -(-height // stride), -(-width // stride)
        yield height // stride, width // stride


class _Reached(Exception):
    """Stops a forward pass once the layer's output is known."""

    def __init__(self, output: object) -> None:
        super().__init__()
        self.output = output


def _leave(module: nn.Module, inputs: tuple, output: object) -> None:
    raise _Reached(output)


def _is_swin_stage(values: list) -> bool:
    """Return True for a Swin stage's output: the next stage's input and its own, each with (H, W).

    Swin stages of OpenMMLab's toolboxes return this.
    """
    kinds = [isinstance(value, Tensor) for value in values]
    return kinds == [True, False, True, False]


def _choose(output: object, layer: str, out_index: int | None) -> Tensor:
    if isinstance(output, Tensor):
        return output
    tensors = list(output) if isinstance(output, Sequence) else []
    if out_index is None and _is_swin_stage(tensors):
        out_index = 2
    shapes = [tuple(t.shape) if isinstance(t, Tensor) else type(t).__name__ for t in tensors]
    if out_index is None:
        raise FeatureError(
            f'the layer {layer!r} returns {type(output).__name__} {shapes}; select one by its index'
        )
    if not -len(tensors) <= out_index < len(tensors):
        raise FeatureError(f'the layer {layer!r} returns {shapes}: there is no index {out_index}')
    if not isinstance(tensors[out_index], Tensor):
        raise FeatureError(f'the layer {layer!r} returns {shapes}; {out_index} is not a tensor')
    return tensors[out_index]
