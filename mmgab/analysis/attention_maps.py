"""Attention maps on real images: mean weights by relative offset, and the bias' share of scores.

Any window attention with a ``look`` method is supported. The forward pass is unchanged; statistics
are computed in addition to it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeGuard

import torch
from torch import Tensor, nn

from mmgab.functional import relative_position_index

BINS = 20


class WindowAttention(Protocol):
    """Interface of window attention with a ``look`` method, such as ``mmgab.models.WindowMSA``."""

    window_size: tuple[int, int]
    num_heads: int

    def look(self, x: Tensor, *others: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        """Return weights and content scores ``(windows, heads, N, N)``, bias ``(heads, N, N)``."""


@dataclass
class AttentionStatistics:
    """Attention statistics of one layer, over all windows without padding and without a mask.

    Attributes:
        offsets: ``(heads, 2 * Wh - 1, 2 * Ww - 1)``, attention weights summed over windows and
            token pairs, by the offset of key from query.
        pairs: ``(2 * Wh - 1, 2 * Ww - 1)``, number of these pairs.
        shares: ``(BINS,)``, histogram of the bias' share of each score, from 0 to 1.
        share_sum: Sum of the shares over all scores.
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
        """Mean share of the bias of a score, ``|bias| / (|bias| + |content|)``, from 0 to 1."""
        return self.share_sum / int(self.shares.sum())


@contextmanager
def watch_attention(
    model: nn.Module, images: int | None = None
) -> Iterator[dict[str, AttentionStatistics]]:
    """Collect statistics of every window attention layer while a network runs.

    Args:
        model: A network with window attention.
        images: Number of images of each batch to use; None for all.

    Yields:
        Statistics by layer name, updated as the network runs.

    Raises:
        ValueError: If the network has no window attention.
    """
    layers = {name: module for name, module in model.named_modules() if _is_attention(module)}
    if not layers:
        raise ValueError(f'{type(model).__name__} has no window attention with a position bias')
    gathered: dict[str, AttentionStatistics] = {}

    def look(name: str, module: nn.Module, inputs: tuple) -> None:
        x, *others = inputs
        attention = layers[name]
        _gather(gathered.setdefault(name, _empty(attention)), attention, x[:images], *others)

    handles = [
        model.get_submodule(name).register_forward_pre_hook(partial(look, name)) for name in layers
    ]
    try:
        yield gathered
    finally:
        for handle in handles:
            handle.remove()


def has_window_attention(model: nn.Module) -> bool:
    """Return True if a network has a layer that :func:`watch_attention` supports."""
    return any(map(_is_attention, model.modules()))


def _is_attention(module: object) -> TypeGuard[WindowAttention]:
    return hasattr(module, 'look') and getattr(module, 'window_size', None) is not None


def _empty(attention: WindowAttention) -> AttentionStatistics:
    sides = tuple(2 * side - 1 for side in attention.window_size)
    zeros = torch.zeros(attention.num_heads, *sides, dtype=torch.float64)
    return AttentionStatistics(zeros, zeros[0].clone())


@torch.no_grad()
def _gather(
    statistics: AttentionStatistics, attention: WindowAttention, x: Tensor, *others: tuple[int, int]
) -> None:
    weights, content, bias = attention.look(x, *others)
    if not len(weights):
        return
    sums = weights.sum(dim=0).double()  # (heads, N, N)
    # Swin's tables index the offset of query from key; the maps, that of key from query.
    index = relative_position_index(attention.window_size).t().flatten()
    statistics.offsets.flatten(1).index_add_(1, index, sums.flatten(1).cpu())
    statistics.pairs.flatten().index_add_(
        0, index, torch.full(index.shape, float(len(weights)), dtype=torch.float64)
    )
    share = bias.abs() / (bias.abs() + content.abs()).clamp_min(1e-12)
    bins = (share * BINS).long().clamp_max(BINS - 1).flatten()
    statistics.shares += torch.bincount(bins, minlength=BINS).cpu()
    statistics.share_sum += share.double().sum().item()
