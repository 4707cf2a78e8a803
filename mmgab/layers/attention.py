"""Multi-head self-attention in windows of a token grid, with a relative-position bias."""

from abc import abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmgab.functional import (
    is_exporting,
    is_transformed,
    mask_bias,
    pairs_of_table,
    split_heads,
    to_exported_tokens,
    to_exported_windows,
    window_attention_operator,
    window_offsets,
    window_order,
)
from mmgab.kernels import triton_window_attention

from .attention_backends import bias_parts
from .fused_norms import ReadsNormed, apply_linear, is_off, is_plain, linear_parts
from .gated_attention import LocalPosition, mix_weights
from .gaussian_bias import GaussianBias
from .initial_values import DrawsInitialValues, draw_linear_


class BiasedMSA(DrawsInitialValues, ReadsNormed):
    """Multi-head self-attention with a position bias, inside windows or over the whole grid.

    The bias is a table with one row for each relative offset. It is the sum of a learned table and
    of the terms listed in :attr:`position_terms`, child modules that map offsets ``(T, 2)`` to a
    table. A new term is therefore a module, ``self.alibi = ...`` and
    ``self.position_terms.append('alibi')``, and a row in :mod:`~.methods`. A bias that is not a
    table overrides :meth:`position_bias`. A replacement of the softmax overrides :meth:`weights`.

    Args:
        embed_dims: Channels ``C``.
        num_heads: Attention heads; must divide ``embed_dims``.
        window_size: Height and width of the window, in tokens; None for the whole grid.
        qkv_bias: Add a learnable bias to queries, keys and values.
        qk_scale: Factor on the scores; ``None`` is ``head_dim ** -0.5``.
        attn_drop_rate: Dropout probability of the attention weights.
        proj_drop_rate: Dropout probability of the output.
        attn_backend: One of ``ATTENTION_BACKENDS``, see :attr:`is_fused`.
        gaussian: A :class:`~.gaussian_bias.GaussianBias`, or None.

    Attributes:
        gaussian: The Gaussian term of the bias, or None.
        local: The gated positional attention (:class:`~.gated_attention.LocalPosition`), or None.
        position_terms: Names of the child modules that are terms of the bias; a child may be None.
        keeps_weights: Save the attention weights for backward on a CPU in reduced precision, where
            computing them again takes long for the memory that it saves.
    """

    keeps_weights = True

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        window_size: tuple[int, int] | None,
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        attn_drop_rate: float = 0.0,
        proj_drop_rate: float = 0.0,
        attn_backend: str = 'auto',
        gaussian: GaussianBias | None = None,
    ) -> None:
        super().__init__()
        self.window_size = window_size
        self.attn_backend = attn_backend
        self.embed_dims = embed_dims
        self.num_heads = num_heads
        self.scale = qk_scale or (embed_dims // num_heads) ** -0.5
        self.position_terms = ['gaussian']
        self.gaussian = gaussian
        self.qkv = nn.Linear(embed_dims, embed_dims * 3, bias=qkv_bias)
        self.softmax = nn.Softmax(dim=-1)
        self.attn_drop = nn.Dropout(attn_drop_rate)
        self.proj = nn.Linear(embed_dims, embed_dims)
        self.proj_drop = nn.Dropout(proj_drop_rate)
        self.local: LocalPosition | None = None

    def draw_(self) -> None:
        """Initialise the projections; with gates, the value projection as they require."""
        draw_linear_(self.qkv)
        draw_linear_(self.proj)
        if self.local is not None and self.local.values == 'identity':
            nn.init.eye_(self.qkv.weight.detach().chunk(3)[2])

    def forward(
        self, x: Tensor, hw_shape: tuple[int, int], shift: tuple[int, int] = (0, 0)
    ) -> Tensor:
        """Attend inside every window of a token grid.

        Args:
            x: Normed tokens ``(B, H * W, C)``.
            hw_shape: ``(H, W)``.
            shift: Rows and columns by which windows are shifted.

        Returns:
            Tokens ``(B, H * W, C)``.
        """
        height, width = hw_shape
        window = self.window_size or (height, width)
        if is_exporting():
            return self._forward_exported(x, hw_shape, window, shift)
        qkv, padding = self._project(x, hw_shape, window)  # (B * H * W, 3 * C), (3 * C,)
        if self.is_fused:
            grid = (len(x), *hw_shape)
            if self.attn_backend == 'triton':
                sizes = (grid, window, shift, self.num_heads, self.scale)
                out = triton_window_attention(qkv, padding, *bias_parts(self, window, x), *sizes)
            else:
                bias = self.position_bias(window, x)  # (heads, N, N)
                keeps = self.keeps_weights and qkv.itemsize <= 2 and qkv.requires_grad
                geometry = (grid, window, shift, self.scale)
                out, _ = window_attention_operator(qkv, padding, bias, *geometry, keeps)
        else:
            # Windows row by row, as in other Swin implementations, for hooks on the weights.
            order = window_order(len(x), (height, width), window, shift, x.device, by_kind=False)
            q, k, v = split_heads(order.to_windows(qkv, padding), 3, self.num_heads)
            mask = order.groups[0].mask
            weights = self.weights(q, k, self.position_bias(window, x), mask)
            if self.local is not None:
                weights = mix_weights(weights, *self.local_scores(window, x.device), mask)
            out = order.to_tokens((self.attn_drop(weights) @ v).transpose(1, 2))
        return self.proj_drop(apply_linear(self.proj, out.reshape(x.shape)))

    def weights(self, q: Tensor, k: Tensor, bias: Tensor, mask: Tensor | None) -> Tensor:
        """Compute attention weights from scaled and biased scores.

        Args:
            q: Queries ``(windows, heads, N, head_dim)``.
            k: Keys, shaped like ``q``.
            bias: ``(heads, N, N)``.
            mask: ``(N, N)`` or ``(windows, 1, N, N)``, True where a query must not attend to a
                key; None for no mask.

        Returns:
            ``(windows, heads, N, N)``, rows sum to one.
        """
        scores = (q * self.scale) @ k.transpose(-2, -1) + mask_bias(bias, mask)
        return self.softmax(scores).to(q.dtype)

    def position_bias(
        self, window_size: tuple[int, int] | None = None, like: Tensor | None = None
    ) -> Tensor:
        """Compute the position bias of every pair of tokens of a window.

        Args:
            window_size: Height and width, in tokens; this layer's window by default.
            like: Tensor whose device and dtype are used; the first parameter by default.

        Returns:
            ``(heads, N, N)``, query before key, in logits.
        """
        window = window_size or self.window_size
        assert window is not None, 'window_size is required for attention over the whole grid'
        like = next(self.parameters()) if like is None else like
        table = self.position_table(window, like)
        tokens = window[0] * window[1]
        pairs = like.new_zeros(1, 1, 1) if table is None else self.pairs(table, window)
        return pairs.expand(self.num_heads, tokens, tokens)

    def position_table(self, window_size: tuple[int, int], like: Tensor) -> Tensor | None:
        """Compute the bias of every relative offset: the learned table plus all terms.

        Args:
            window_size: See :meth:`position_bias`.
            like: See :meth:`position_bias`.

        Returns:
            ``((2Wh-1)(2Ww-1), heads)``, or ``(..., 1)`` shared by all heads, in logits; None
            without any bias.
        """
        table = self.learned_table(window_size, like)
        for name in self.position_terms:
            term = getattr(self, name)
            if term is not None:
                device = like.device if table is None else table.device
                addend = term(window_offsets((window_size[0], window_size[1]), device))
                table = addend if table is None else table + addend
        return table

    def local_table(self, window: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor]:
        """Compute positional scores ``(T, heads)`` and their gate, see :func:`mix_weights`."""
        assert self.local is not None, 'local_table needs gpsa_cfg'
        # Table offsets are query minus key; the scores need key minus query.
        return self.local(-window_offsets((window[0], window[1]), device))

    def local_scores(self, window: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor]:
        """Expand the scores of :meth:`local_table` to all pairs, ``(heads, N, N)``."""
        scores, share = self.local_table(window, device)
        return self.pairs(scores, window), share

    def pairs(self, table: Tensor, window_size: tuple[int, int]) -> Tensor:
        """Expand a table ``(T, heads)`` to all pairs of tokens of a window, ``(heads, N, N)``."""
        return pairs_of_table(table, window_size)

    @abstractmethod
    def learned_table(self, window_size: tuple[int, int], like: Tensor) -> Tensor | None:
        """Return the learned table, see :meth:`position_table`, or None."""

    @torch.no_grad()
    def look(
        self, x: Tensor, hw_shape: tuple[int, int], shift: tuple[int, int] = (0, 0)
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compute attention weights in the windows without padding and without a shift mask.

        Computed in single precision, without dropout. The arguments are those of :meth:`forward`.

        Returns:
            Attention weights and content scores (without the bias) ``(windows, heads, N, N)``, and
            the bias ``(heads, N, N)``.
        """
        height, width = hw_shape
        window = self.window_size or (height, width)
        order = window_order(len(x), (height, width), window, shift, x.device)
        windows = order.to_windows(*self._project(x, hw_shape, window))[order.is_complete]
        q, k, _ = split_heads(windows.float(), 3, self.num_heads)
        bias = self.position_bias(window, x).float()
        weights = self.weights(q, k, bias, None)
        if self.local is not None:
            weights = mix_weights(weights, *self.local_scores(window, x.device), None)
        return weights, (q * self.scale) @ k.transpose(-2, -1), bias

    @property
    def is_fused(self) -> bool:
        """True if attention is one operator (SDPA; chunks on a CPU), False if unfused (eager).

        Attention is unfused with ``attn_backend='explicit'``, with gates, with active attention
        dropout, with hooks on the softmax or dropout, in a subclass that overrides :meth:`weights`,
        and under higher-order differentiation (:mod:`mmgab.functional.tracing`).
        """
        return self.local is None and self._is_fusible

    @property
    def has_table(self) -> bool:
        """True if the bias is a table of relative offsets."""
        return type(self).position_bias is BiasedMSA.position_bias

    @property
    def _is_fusible(self) -> bool:
        """True if nothing but gates requires the attention weights."""
        is_own = type(self).weights is BiasedMSA.weights and self.attn_backend != 'explicit'
        are_plain = is_plain(self.softmax, nn.Softmax) and is_off(self.attn_drop)
        return is_own and are_plain and not is_transformed()

    def _project(
        self, x: Tensor, hw_shape: tuple[int, int], window_size: tuple[int, int]
    ) -> tuple[Tensor, Tensor | None]:
        """Project normed tokens, and the zeros that pad the last windows, to q, k and v.

        Padding is zeros after the norm, which ``nn.Linear`` maps to its bias. A replaced
        projection gets one token of zeros appended to each image.

        Args:
            x: ``(B, H * W, C)``.
            hw_shape: ``(H, W)``.
            window_size: Height and width of a window.

        Returns:
            ``(B * H * W, 3 * C)``, and ``(3 * C,)`` for a padding token; None for zeros or
            without padding.
        """
        if is_plain(self.qkv, nn.Linear):
            return apply_linear(self.qkv, x).flatten(0, 1), self.qkv.bias
        if all(side % window == 0 for side, window in zip(hw_shape, window_size, strict=True)):
            return self.qkv(x).flatten(0, 1), None
        qkv = self.qkv(F.pad(x, (0, 0, 0, 1)))  # (B, H * W + 1, 3 * C)
        return qkv[:, :-1].flatten(0, 1), qkv[0, -1]

    def _forward_exported(
        self,
        x: Tensor,
        hw_shape: tuple[int, int],
        window_size: tuple[int, int],
        shift: tuple[int, int],
    ) -> Tensor:
        """Compute :meth:`forward` in standard operators that every runtime supports."""
        bias, grid, mask = self.position_bias(window_size, x), (x.shape[0], *hw_shape), None
        if self.window_size is None:
            q, k, v = split_heads(self.qkv(x), 3, self.num_heads)
        else:
            padding = x.new_zeros(x.shape[0], 1, x.shape[2])
            parts = linear_parts(torch.cat((x, padding), dim=1), self.qkv, 3)
            q, k, v, mask = to_exported_windows(parts, self.num_heads, grid, window_size, shift)
        weights = self.weights(q, k, bias, mask)
        if self.local is not None:
            weights = mix_weights(weights, *self.local_scores(window_size, x.device), mask)
        attended = self.attn_drop(weights) @ v
        if self.window_size is None:
            out = attended.transpose(1, 2).flatten(2)
        else:
            out = to_exported_tokens(attended, grid, window_size, shift)
        return self.proj_drop(self.proj(out))
