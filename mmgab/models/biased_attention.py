"""Multi-head self-attention with a bias on its scores: what all attention here has in common."""

from torch import Tensor, nn

from mmgab.functional import Attend, attend_in_windows, mask_bias, window_attention, window_order

from .arguments import check_choice

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


class BiasedMSA(nn.Module):
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
        self.num_heads = num_heads
        self.scale = qk_scale or (embed_dims // num_heads) ** -0.5
        self.qkv = nn.Linear(embed_dims, embed_dims * 3, bias=qkv_bias)
        self.attn_drop = nn.Dropout(drop_rates[0])
        self.proj = nn.Linear(embed_dims, embed_dims)
        self.proj_drop = nn.Dropout(drop_rates[1])

    def weights(self, q: Tensor, k: Tensor, bias: Tensor, mask: Tensor | None) -> Tensor:
        """Attention weights from scaled and biased scores.

        Args:
            q: Queries ``(windows, heads, N, head_dim)``.
            k: Keys, shaped like ``q``.
            bias: ``(heads, N, N)``.
            mask: ``(N, N)``, True where query and key must not see each other; None if all may.

        Returns:
            ``(windows, heads, N, N)``, rows sum to one.
        """
        scores = (q * self.scale) @ k.transpose(-2, -1) + mask_bias(bias, mask)
        return scores.softmax(dim=-1).to(q.dtype)

    def attend(
        self,
        qkv: Tensor,
        bias: Tensor,
        grid: tuple[int, int, int],
        window_size: tuple[int, int],
        shift: tuple[int, int],
    ) -> Tensor:
        """Attention proper, from queries, keys and values to values.

        Padding of the last windows is zeros after the norm, of which the projection leaves its
        bias.

        Args:
            qkv: ``(B * H * W, 3 * C)``.
            bias: ``(heads, N, N)``.
            grid: ``B``, ``H`` and ``W``.
            window_size: Height and width of a window, ``N`` tokens.
            shift: Rows and columns by which windows are shifted.

        Returns:
            ``(B * H * W, C)``.
        """
        inputs = (qkv, self.qkv.bias, bias)
        if self.is_fused:
            return window_attention(*inputs, grid, window_size, shift, self.scale)
        batch, *hw_shape = grid
        order = window_order(batch, tuple(hw_shape), window_size, shift, qkv.device)
        return attend_in_windows(*inputs, order, self.steps(window_size))

    def steps(self, window_size: tuple[int, int]) -> Attend:
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
        dropped, and where a subclass makes them in another way.
        """
        is_dropping = self.training and self.attn_drop.p > 0
        own = type(self)
        is_own = own.weights is BiasedMSA.weights and own.steps is BiasedMSA.steps
        return self.attn_backend != 'explicit' and is_own and not is_dropping
