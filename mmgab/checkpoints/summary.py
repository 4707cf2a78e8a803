"""What is in a checkpoint, in words."""

from collections.abc import Iterator

from mmgab.functional import fit_gaussian, gaussian_table, relative_offsets

from .contents import Contents
from .matching import architecture, describe, grouped, is_finite
from .method_tensors import GAUSSIAN


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
    amplitude, sigma = (contents.swin.get(parameter) for parameter in GAUSSIAN.beside(name))
    learned = '-'
    if amplitude is not None and sigma is not None:
        table = table + gaussian_table(offsets, amplitude.float(), sigma.float())
        learned = f'A {float(amplitude.square().mean()):.3f}, sigma {float(sigma.abs().mean()):.2f}'
        learned += ' (means of the heads)' if len(amplitude) > 1 else ''
    fit = fit_gaussian(table, offsets)
    height, width, r_squared = (float(v) for v in (fit.amplitude**2, fit.sigma, fit.r_squared))
    fitted = f'A {height:7.3f}, sigma {width:5.2f} tokens, R^2 {r_squared:.3f}'
    size = f'{window[0]}x{window[1]}'
    return f'  {layer:<18}  {size:<6}  {table.shape[1]:5}  {fitted}  {learned}'
