"""Multi-head self-attention with a bias on its scores: what all attention here has in common."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmgab.functional import (
    Attend,
    attend_in_windows,
    is_transformed,
    mask_bias,
    window_attention,
    window_order,
)

from .arguments import check_choice
from .lean_layers import ReadsNormed, apply_linear, is_off, is_plain

ATTENTION_BACKENDS = ('auto', 'sdpa', 'explicit')


def check_backend(attn_backend: str, attn_drop_rate: float, is_gated: bool) -> None:
    """Check that a backend can do what is asked for.

    Raises:
        ValueError: If it is not known, or is the fused kernel and weights are dropped or mixed.
    """
    check_choice('attn_backend', attn_backend, ATTENTION_BACKENDS)
    if attn_backend == 'sdpa' and attn_drop_rate:
        raise ValueError(
            f"attn_backend='sdpa' drops no attention weights: attn_drop_rate must be 0, got "
            f"{attn_drop_rate}; with 'auto' attention goes by steps where it drops"
        )
    if attn_backend == 'sdpa' and is_gated:
        raise ValueError("attn_backend='sdpa' mixes no weights, as gpsa_cfg asks: use 'auto'")


class BiasedMSA(ReadsNormed):
    """From queries, keys and values, inside windows of a token grid, to values.

    A new way from scores to weights overrides :meth:`weights`, or :meth:`steps` where it needs the
    window; nothing else has to change.
    Subclasses call :meth:`make_projections_` when they are built.
    """

    def make_projections_(
        self,
        embed_dims: int,
        num_heads: int,
        qkv_bias: bool,
        qk_scale: float | None,
        drop_rates: tuple[float, float],
        attn_backend: str,
    ) -> None:
        """Make what every attention learns, and note how it computes.

        Args:
            embed_dims: Channels ``C``.
            num_heads: Attention heads; must divide ``embed_dims``.
            qkv_bias: Add a learnable bias to queries, keys and values.
            qk_scale: Factor on the scores; ``None`` is ``head_dim ** -0.5``.
            drop_rates: Dropout probabilities of the attention weights and of the output.
            attn_backend: One of ``ATTENTION_BACKENDS``, see :attr:`is_fused`.
        """
        self.attn_backend = attn_backend
        self.embed_dims = embed_dims
        self.num_heads = num_heads
        self.scale = qk_scale or (embed_dims // num_heads) ** -0.5
        self.qkv = nn.Linear(embed_dims, embed_dims * 3, bias=qkv_bias)
        self.softmax = nn.Softmax(dim=-1)
        self.attn_drop = nn.Dropout(drop_rates[0])
        self.proj = nn.Linear(embed_dims, embed_dims)
        self.proj_drop = nn.Dropout(drop_rates[1])

    def weights(self, q: Tensor, k: Tensor, bias: Tensor, mask: Tensor | None) -> Tensor:
        """Attention weights from scaled and biased scores.

        Args:
            q: Queries ``(windows, heads, N, head_dim)``.
            k: Keys, shaped like ``q``.
            bias: ``(heads, N, N)``.
            mask: ``(N, N)`` or ``(windows, 1, N, N)``, True where query and key must not see each
                other; None if all may.

        Returns:
            ``(windows, heads, N, N)``, rows sum to one.
        """
        scores = (q * self.scale) @ k.transpose(-2, -1) + mask_bias(bias, mask)
        return self.softmax(scores).to(q.dtype)

    def attend(
        self,
        x: Tensor,
        bias: Tensor,
        hw_shape: tuple[int, int],
        window_size: tuple[int, int],
        shift: tuple[int, int],
    ) -> Tensor:
        """Attend inside every window of a token grid.

        Args:
            x: Normed tokens ``(B, H * W, C)``.
            bias: ``(heads, N, N)``.
            hw_shape: ``(H, W)``.
            window_size: Height and width of a window, ``N`` tokens.
            shift: Rows and columns by which windows are shifted.

        Returns:
            ``(B, H * W, C)``.
        """
        qkv, padding = self.project(x, hw_shape, window_size)
        if self.is_fused:
            grid = (len(x), *hw_shape)
            out = window_attention(qkv, padding, bias, grid, window_size, shift, self.scale)
        else:
            # In the order of other Swins, for who looks at the weights.
            place = dict(device=x.device, by_kind=False)
            order = window_order(len(x), tuple(hw_shape), window_size, shift, **place)
            steps = self.steps(window_size, x.device)
            out = attend_in_windows(qkv, padding, bias, order, steps)
        return self.proj_drop(self.proj(out.reshape(x.shape)))

    def project(
        self, x: Tensor, hw_shape: tuple[int, int], window_size: tuple[int, int]
    ) -> tuple[Tensor, Tensor | None]:
        """Project normed tokens to queries, keys and values, and those that pad the last windows.

        Padding is zeros after the norm, of which a plain projection leaves its bias. What else
        stands in its place gets one token of zeros behind those of each image.

        Args:
            x: ``(B, H * W, C)``.
            hw_shape: ``(H, W)``.
            window_size: Height and width of a window.

        Returns:
            ``(B * H * W, 3 * C)``, and ``(3 * C,)`` for a token of padding; None for zeros, or
            where windows fit.
        """
        if is_plain(self.qkv, nn.Linear):
            return apply_linear(self.qkv, x).flatten(0, 1), self.qkv.bias
        if all(side % window == 0 for side, window in zip(hw_shape, window_size, strict=True)):
            return self.qkv(x).flatten(0, 1), None
        qkv = self.qkv(F.pad(x, (0, 0, 0, 1)))  # (B, H * W + 1, 3 * C)
        return qkv[:, :-1].flatten(0, 1), qkv[0, -1]

    def steps(self, window_size: tuple[int, int], device: torch.device) -> Attend:
        """What attends inside a window of that size, where it goes by steps."""
        return self.attend_by_steps

    def attend_by_steps(
        self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor, mask: Tensor | None
    ) -> Tensor:
        """Attention inside windows, by :meth:`weights`; ``v`` and the result are as ``q``."""
        return self.attn_drop(self.weights(q, k, bias, mask)) @ v

    @property
    def is_fused(self) -> bool:
        """Whether attention takes torch's fused kernel, which is the faster one, or goes by steps.

        Chosen here and nowhere else. Steps it is where they are asked for, where weights are
        dropped or looked at, where a subclass makes them in another way, and where each step must
        be differentiable in its turn (:mod:`mmgab.functional.derivatives`).
        """
        own = type(self)
        is_own = own.weights is BiasedMSA.weights and own.steps is BiasedMSA.steps
        are_plain = is_own and is_plain(self.softmax, nn.Softmax) and is_off(self.attn_drop)
        return self.attn_backend != 'explicit' and are_plain and not is_transformed()
