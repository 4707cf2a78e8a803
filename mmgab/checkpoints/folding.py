"""Methods into the relative-position tables of a checkpoint, and the Gaussian out of them."""

from dataclasses import replace

from torch import Tensor

from mmgab.functional import GaussianSplit, relative_offsets, split_gaussian
from mmgab.layers.methods import GAUSSIAN, Method, methods_to_fold

from .contents import Contents
from .matching import grouped


def fold(contents: Contents) -> Contents:
    """Add to every table what its methods add to it and drop them: a stock Swin, the same function.

    Args:
        contents: A SwinGAB and what is around it.

    Returns:
        The same, without a trace of what was folded. Tables are in single precision, whatever the
        file was in: rounded to half, they would be another function.

    Raises:
        ValueError: If there is no Gaussian (folded before, or a plain Swin), or none in a layer.
    """
    swin, tables = dict(contents.swin), contents.tables()
    methods = methods_to_fold(swin)
    if not methods:
        raise ValueError(
            f'{contents.source} has nothing to fold: it has no Gaussian (folded already, or a '
            'plain Swin)'
        )
    for method in methods:
        as_table = method.table
        assert as_table is not None  # see methods_to_fold
        found = {table: _beside(method, table, contents) for table in tables}
        without = [table for table, tensors in found.items() if not tensors]
        if without and method.is_in_every_block:
            raise ValueError(
                f'{contents.source} is not whole: no {method.name} beside {grouped(without)}'
            )
        for table, tensors in found.items():
            if tensors:
                offsets = relative_offsets(contents.window(table), swin[table].device)
                swin[table] = swin[table].float() + as_table(tensors, offsets)
                for name in method.beside(table):
                    del swin[name]
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
    for name in contents.tables():
        if _beside(GAUSSIAN, name, contents):
            raise ValueError(f'{contents.source} has a Gaussian already: fold it first')
        offsets = relative_offsets(contents.window(name), swin[name].device)
        splits[name] = split = split_gaussian(swin[name], offsets, per_head)
        swin[name] = split.remainder
        amplitude, sigma = GAUSSIAN.beside(name)
        swin[amplitude], swin[sigma] = split.amplitude, split.sigma
    return replace(contents, swin=swin), splits


def _beside(method: Method, table: str, contents: Contents) -> dict[str, Tensor]:
    """A method's tensors beside a table; empty where it has none."""
    names = method.beside(table)
    there = [name in contents.swin for name in names]
    if any(there) and not all(there):
        raise ValueError(f'{contents.source}: {table} has one of {list(names)} without the other')
    return method.found_beside(table, contents.swin)
