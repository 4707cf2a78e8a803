"""Count the bytes that one shifted window attention reads and writes, forward, for each token.

Example:
    python -m projects.benchmark.traffic

Every operation that computes or moves values is counted with its inputs and outputs; views are
free, and an expanded tensor counts once. Projections are left out: all implementations have the
same. The first stage of a Swin-T or Swin-S at 224 x 224: 56 x 56 tokens of 96 channels, 3 heads,
windows of 7 x 7, without padding. Counted in single precision; bytes are those of half precision.
"""

import math

import torch
from mmdet.models.backbones.swin import ShiftWindowMSA as StockShiftWindowMSA
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mmgab.layers.window_attention import ShiftWindowMSA
from projects.markdown import markdown_table

SIDE, CHANNELS, HEADS, WINDOW = 56, 96, 3, 7
PROJECTIONS = ('addmm', 'linear', 'mkldnn')
FREE = ('detach', 'empty', 'new_empty', '_unsafe_view')
FILLS = ('new_zeros', 'zeros', 'arange', 'fill')  # read nothing
CPU = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)


class Traffic(TorchDispatchMode):
    """Sum the numbers in inputs and outputs of operations, views and projections excepted."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(
        self, function: OpOverload, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        """Run an operation and count it."""
        if function.namespace != 'aten':  # our operator: count what it calls
            with self:
                return function.redispatch(CPU, *args, **(kwargs or {}))
        result = function(*args, **(kwargs or {}))
        name = function.overloadpacket.__name__
        if not function.is_view and not name.startswith((*PROJECTIONS, *FREE)):
            read = args[1:] if name == 'copy_' else (args, kwargs)
            given = () if name.startswith(FILLS) else tree_leaves(read)
            tensors = [x for x in (*given, *tree_leaves(result)) if isinstance(x, Tensor)]
            self.numbers += sum(map(stored, tensors))
        return result


def stored(tensor: Tensor) -> int:
    """Return the numbers of a tensor, each once where dimensions are expanded."""
    sides = zip(tensor.shape, tensor.stride(), strict=True)
    return math.prod(size for size, stride in sides if stride)


def count(layer: nn.Module) -> int:
    """Return the numbers read and written in one forward pass, whose caches are warm."""
    layer = layer.eval()
    tokens = torch.randn(1, SIDE * SIDE, CHANNELS)
    with torch.no_grad():
        layer(tokens, (SIDE, SIDE))
        with Traffic() as traffic:
            layer(tokens, (SIDE, SIDE))
    return traffic.numbers


def main() -> None:
    """Count all implementations and print a table."""
    arguments = dict(embed_dims=CHANNELS, num_heads=HEADS)
    ours = dict(arguments, window_size=(WINDOW, WINDOW), shift=True)
    layers = {
        "permutation and SDPA (`'auto'`)": ShiftWindowMSA(**ours),
        "unfused (`'explicit'`)": ShiftWindowMSA(**ours, attn_backend='explicit'),
        'stock Swin (mmdet)': StockShiftWindowMSA(
            **arguments, window_size=WINDOW, shift_size=WINDOW // 2
        ),
    }
    rows = [('limit: read queries, keys and values, write the output', 4.0)]
    rows += [('Triton kernels, by construction', 4.0)]
    rows += [(name, count(layer) / SIDE**2 / CHANNELS) for name, layer in layers.items()]
    cells = [(name, f'{found:.1f} C', f'{2 * found * CHANNELS:.0f}') for name, found in rows]
    header = ['', 'numbers a token', f'bytes a token, C = {CHANNELS}']
    print(markdown_table(header, cells))


if __name__ == '__main__':
    main()
