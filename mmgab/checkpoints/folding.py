"""Fold methods into relative-position tables, and split Gaussians off them."""

from dataclasses import replace

from torch import Tensor

from mmgab.functional import GaussianSplit, relative_offsets, split_gaussian
from mmgab.layers.methods import GAUSSIAN, Method, methods_to_fold

from .contents import Contents
from .matching import grouped


def fold(contents: Contents) -> Contents:
    """Fold every method into its table, which gives a stock Swin with the same outputs.

    Args:
        contents: A SwinGAB and the other tensors of its checkpoint.

    Returns:
        The same without the folded tensors. Tables are in float32, whatever the dtype of the
        file, as rounding them to float16 would change the outputs.

    Raises:
        ValueError: If there is no Gaussian (already folded or a baseline Swin), or none in a layer.
    """
    swin, tables = dict(contents.swin), contents.tables()
    methods = methods_to_fold(swin)
    if not methods:
        raise ValueError(
            f'{contents.source} has nothing to fold: it has no Gaussian (folded already, or a '
            'baseline Swin)'
        )
    for method in methods:
        as_table = method.table
        assert as_table is not None  # see methods_to_fold
        found = {table: _sibling_tensors(method, table, contents) for table in tables}
        without = [table for table, tensors in found.items() if not tensors]
        if without and method.is_in_every_block:
            raise ValueError(
                f'{contents.source} is incomplete: no {method.name} for {grouped(without)}'
            )
        for table, tensors in found.items():
            if tensors:
                offsets = relative_offsets(contents.window(table), swin[table].device)
                swin[table] = swin[table].float() + as_table(tensors, offsets)
                for name in method.sibling_names(table):
                    del swin[name]
    return replace(contents, swin=swin)


def unfold(contents: Contents, per_head: bool = False) -> tuple[Contents, dict[str, GaussianSplit]]:
    """Split every table into a Gaussian and a remainder, which gives an equivalent SwinGAB.

    Args:
        contents: A baseline Swin and the other tensors of its checkpoint.
        per_head: One Gaussian for each head instead of one for each layer.

    Returns:
        The SwinGAB with the other tensors, and the split of each table by its name.

    Raises:
        ValueError: If it has a Gaussian already.
    """
    swin = dict(contents.swin)
    splits = {}
    for name in contents.tables():
        if _sibling_tensors(GAUSSIAN, name, contents):
            raise ValueError(f'{contents.source} has a Gaussian already: fold it first')
        offsets = relative_offsets(contents.window(name), swin[name].device)
        splits[name] = split = split_gaussian(swin[name], offsets, per_head)
        swin[name] = split.remainder
        amplitude, sigma = GAUSSIAN.sibling_names(name)
        swin[amplitude], swin[sigma] = split.amplitude, split.sigma
    return replace(contents, swin=swin), splits


def _sibling_tensors(method: Method, table: str, contents: Contents) -> dict[str, Tensor]:
    """Return a method's tensors for a table; empty if there are none."""
    names = method.sibling_names(table)
    there = [name in contents.swin for name in names]
    if any(there) and not all(there):
        raise ValueError(f'{contents.source}: {table} has one of {list(names)} without the other')
    return method.sibling_tensors(table, contents.swin)
