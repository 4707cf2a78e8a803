"""The Gaussian into the relative-position tables of a checkpoint, and out of them."""

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from mmgab.functional import GaussianSplit, gaussian_table, relative_offsets, split_gaussian

from .contents import Contents
from .matching import grouped
from .method_tensors import GAUSSIAN


def fold(contents: Contents) -> Contents:
    """Add every Gaussian to its table and drop it: a stock Swin, the same function.

    Args:
        contents: A SwinGAB and what is around it.

    Returns:
        The same, without a trace of the Gaussian. Tables are in single precision, whatever the file
        was in: rounded to half, they would be another function.

    Raises:
        ValueError: If there is no Gaussian (folded before, or a plain Swin), or none in a layer.
    """
    swin = dict(contents.swin)
    gaussians = _gaussians(contents)
    without = [name for name, gaussian in gaussians.items() if gaussian is None]
    if len(without) == len(gaussians):
        raise ValueError(
            f'{contents.source} has nothing to fold: it has no Gaussian (folded already, or a '
            'plain Swin)'
        )
    for name, gaussian in gaussians.items():
        if gaussian is None:
            raise ValueError(
                f'{contents.source} is not whole: no Gaussian beside {grouped(without)}'
            )
        offsets = relative_offsets(contents.window(name), swin[name].device)
        bias = gaussian_table(offsets, *(parameter.float() for parameter in gaussian))
        swin[name] = swin[name].float() + bias
        for parameter in GAUSSIAN.beside(name):
            del swin[parameter]
    return replace(contents, swin=swin)


def unfold(contents: Contents, per_head: bool = False) -> tuple[Contents, dict[str, GaussianSplit]]:
    """Split every table into a Gaussian and a remainder: a SwinGAB, the same function.

    Args:
        contents: A plain Swin and what is around it.
        per_head: One Gaussian for each head instead of one for each layer.

    Returns:
        The SwinGAB and what is around it, and the split of each table by its name.

    Raises:
        ValueError: If it has a Gaussian already.
    """
    swin = dict(contents.swin)
    splits = {}
    for name, gaussian in _gaussians(contents).items():
        if gaussian is not None:
            raise ValueError(f'{contents.source} has a Gaussian already: fold it first')
        offsets = relative_offsets(contents.window(name), swin[name].device)
        splits[name] = split = split_gaussian(swin[name], offsets, per_head)
        swin[name] = split.remainder
        amplitude, sigma = GAUSSIAN.beside(name)
        swin[amplitude], swin[sigma] = split.amplitude, split.sigma
    return replace(contents, swin=swin), splits


def _gaussians(contents: Contents) -> Mapping[str, tuple[Tensor, Tensor] | None]:
    """Amplitude and sigma beside each table; None beside one that has none."""
    found: dict[str, tuple[Tensor, Tensor] | None] = {}
    for table in contents.tables():
        amplitude, sigma = GAUSSIAN.beside(table)
        if (amplitude in contents.swin) != (sigma in contents.swin):
            names = [amplitude, sigma]
            raise ValueError(f'{contents.source}: {table} has one of {names} without the other')
        is_there = amplitude in contents.swin
        found[table] = (contents.swin[amplitude], contents.swin[sigma]) if is_there else None
    return found
