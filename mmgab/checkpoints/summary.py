"""Describe the contents of a checkpoint as text."""

from collections.abc import Iterator, Mapping

from torch import Tensor

from mmgab.functional import fit_gaussian, relative_offsets
from mmgab.layers.methods import METHODS, Method

from .contents import Contents
from .matching import architecture, describe, grouped, is_finite


def summary(contents: Contents) -> Iterator[str]:
    """Describe a checkpoint, line by line.

    Args:
        contents: A Swin and what is around it.

    Yields:
        Layout, variant, numbers of tensors, and for each relative-position table its window, its
        heads and the Gaussian that fits it (with the learned one added, where there is one).
    """
    swin, others = contents.swin, contents.others
    under = f' in {contents.place!r}' if contents.place else ''
    numbers = sum(tensor.numel() for tensor in swin.values() if tensor.is_floating_point())
    yield f'layout      {contents.layout.name}{under}'
    yield f'variant     {describe(*architecture(swin))}'
    size = f'{numbers / 1e6:.1f} M parameters'
    yield f'tensors     {len(swin)} of the Swin ({size}), {len(others)} others'
    if 'head.fc.weight' in swin:
        yield f'classifier  {len(swin["head.fc.weight"])} classes'
    bad = [name for name, tensor in swin.items() if not is_finite(tensor)]
    yield f'not finite  {grouped(bad)}'
    yield 'tables      window  heads  Gaussian that fits, all heads' + ' ' * 22 + 'learned'
    for name in contents.tables():
        yield _table_line(contents, name)


def _table_line(contents: Contents, name: str) -> str:
    table, window = contents.swin[name].float(), contents.window(name)
    offsets = relative_offsets(window)
    layer = name.removesuffix('.attn.w_msa.relative_position_bias_table')
    learned = []
    for method in METHODS:
        if tensors := method.sibling_tensors(name, contents.swin):
            table = table if method.table is None else table + method.table(tensors, offsets)
            learned.append(_learned(method, tensors))
    fit = fit_gaussian(table, offsets)
    height, width, r_squared = (float(v) for v in (fit.amplitude**2, fit.sigma, fit.r_squared))
    fitted = f'A {height:7.3f}, sigma {width:5.2f} tokens, R^2 {r_squared:.3f}'
    size = f'{window[0]}x{window[1]}'
    return f'  {layer:<18}  {size:<6}  {table.shape[1]:5}  {fitted}  {", ".join(learned) or "-"}'


def _learned(method: Method, tensors: Mapping[str, Tensor]) -> str:
    """Format the learned parameters of a method in a layer, as means over heads."""
    means = {symbol: how.meaning(tensors[how.tensor]) for symbol, how in method.learned.items()}
    digits = {symbol: how.digits for symbol, how in method.learned.items()}
    text = ', '.join(f'{s} {float(v.mean()):.{digits[s]}f}' for s, v in means.items())
    return text + ' (means of the heads)' * any(len(values) > 1 for values in means.values())
