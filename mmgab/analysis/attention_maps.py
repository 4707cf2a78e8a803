"""What window attention does on real images: mean weights by relative offset, and the bias' part.

Works on any module like :class:`mmgab.models.WindowMSA`; the network runs as always, what is looked
at is computed beside it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from mmgab.functional import WindowOrder, relative_position_index, window_order

BINS = 20


@dataclass
class AttentionStatistics:
    """Of one layer, over all windows that hold no padding and are not cut by a shift.

    Attributes:
        offsets: ``(heads, 2 * Wh - 1, 2 * Ww - 1)``, sum over windows and pairs of tokens of the
            attention weight at each offset of key from query.
        pairs: ``(2 * Wh - 1, 2 * Ww - 1)``, how many pairs those were.
        shares: ``(BINS,)``, how many scores have which part of the bias in them, from 0 to 1.
        share_sum: Sum of these parts over all scores.
    """

    offsets: Tensor
    pairs: Tensor
    shares: Tensor = field(default_factory=lambda: torch.zeros(BINS, dtype=torch.int64))
    share_sum: float = 0.0

    @property
    def mean(self) -> Tensor:
        """Mean weight at every offset, ``(heads, 2 * Wh - 1, 2 * Ww - 1)``."""
        return self.offsets / self.pairs

    @property
    def mean_share(self) -> float:
        """Mean part of the bias in a score, ``|bias| / (|bias| + |content|)``, from 0 to 1."""
        return self.share_sum / int(self.shares.sum())


@contextmanager
def watch_attention(
    model: nn.Module, images: int | None = None
) -> Iterator[dict[str, AttentionStatistics]]:
    """Gather statistics of every window attention while a network runs.

    Args:
        model: A network with window attention.
        images: How many of each batch are looked at; None for all.

    Yields:
        For each layer's name what was gathered so far; filled as the network runs.

    Raises:
        ValueError: If there is no window attention.
    """
    layers = {name: module for name, module in model.named_modules() if _is_attention(module)}
    if not layers:
        raise ValueError(f'{type(model).__name__} has no window attention with a position bias')
    gathered: dict[str, AttentionStatistics] = {}

    def look(name: str, module: nn.Module, inputs: tuple) -> None:
        x, *others = inputs
        _gather(gathered.setdefault(name, _empty(module)), module, x[:images], *others)

    handles = [
        module.register_forward_pre_hook(
            lambda module, inputs, name=name: look(name, module, inputs)
        )
        for name, module in layers.items()
    ]
    try:
        yield gathered
    finally:
        for handle in handles:
            handle.remove()


def has_window_attention(model: nn.Module) -> bool:
    """Whether a network has a layer that :func:`watch_attention` can look at."""
    return any(map(_is_attention, model.modules()))


def _is_attention(module: nn.Module) -> bool:
    return all(hasattr(module, name) for name in ('position_bias', 'project', 'weights'))


def _empty(module: nn.Module) -> AttentionStatistics:
    sides = tuple(2 * side - 1 for side in module.window_size)
    zeros = torch.zeros(module.num_heads, *sides, dtype=torch.float64)
    return AttentionStatistics(zeros, zeros[0].clone())


@torch.no_grad()
def _gather(
    statistics: AttentionStatistics,
    module: nn.Module,
    x: Tensor,
    hw_shape: tuple[int, int],
    shift: tuple[int, int],
) -> None:
    order = window_order(len(x), hw_shape, module.window_size, shift, x.device)
    qkv = order.to_windows(*module.project(x, hw_shape, module.window_size))
    heads = qkv.view(
        -1, order.window_tokens, 3, module.num_heads, qkv.shape[1] // 3 // module.num_heads
    )
    q, k, _ = heads[_whole_windows(order)].permute(2, 0, 3, 1, 4).float()
    if not len(q):
        return
    bias = module.position_bias().float()
    weights = module.weights(q, k, bias, None).sum(dim=0).double()  # (heads, N, N)
    # The index is of query from key, as in every Swin's table; maps are of key from query.
    index = relative_position_index(module.window_size).t().flatten()
    sums = statistics.offsets.flatten(1)
    sums.index_add_(1, index, weights.flatten(1).cpu())
    statistics.pairs.flatten().index_add_(
        0, index, torch.full(index.shape, float(len(q)), dtype=torch.float64)
    )
    content = ((q * module.scale) @ k.transpose(-2, -1)).abs()
    share = bias.abs() / (bias.abs() + content).clamp_min(1e-12)
    bins = (share * BINS).long().clamp_max(BINS - 1).flatten()
    statistics.shares += torch.bincount(bins, minlength=BINS).cpu()
    statistics.share_sum += share.double().sum().item()


def _whole_windows(order: WindowOrder) -> Tensor:
    """Which windows hold no padding and no mask."""
    count = len(order.sources) // order.window_tokens
    is_whole = torch.zeros(count, dtype=torch.bool, device=order.sources.device)
    is_whole[order.groups[0].windows] = True  # the kind without a mask stands first
    is_whole[order.padding // order.window_tokens] = False
    return is_whole
