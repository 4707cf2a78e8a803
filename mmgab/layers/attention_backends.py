"""The implementations of attention that a config can choose, and what they support."""

from typing import TYPE_CHECKING

from torch import Tensor

from .fused_norms import is_plain
from .gaussian_bias import GaussianBias
from .validation import check_choice

if TYPE_CHECKING:
    from .attention import BiasedMSA

ATTENTION_BACKENDS = ('auto', 'sdpa', 'triton', 'explicit')
_FUSED = ('sdpa', 'triton')


def check_backend(attn_backend: str, attn_drop_rate: float, is_gated: bool) -> None:
    """Check that a backend supports the other attention settings.

    Raises:
        ValueError: If the backend is unknown, or a fused one is combined with attention dropout or
            gated attention.
    """
    check_choice('attn_backend', attn_backend, ATTENTION_BACKENDS)
    if attn_backend in _FUSED and attn_drop_rate:
        raise ValueError(
            f'attn_backend={attn_backend!r} does not support attention dropout: attn_drop_rate '
            f"must be 0, got {attn_drop_rate}; use 'auto', which is unfused where it drops"
        )
    if attn_backend in _FUSED and is_gated:
        raise ValueError(f"attn_backend={attn_backend!r} does not support gpsa_cfg; use 'auto'")


def bias_parts(
    attention: 'BiasedMSA', window_size: tuple[int, int], like: Tensor
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Return an attention's bias as a table and a Gaussian that is still to be added.

    Args:
        attention: The layer.
        window_size: Height and width of the window, in tokens.
        like: Tensor whose device and dtype are used.

    Returns:
        The table ``(T, heads)`` or ``(T, 1)``, and amplitude and sigma of the Gaussian, see
        :func:`mmgab.functional.gaussian_table`. The latter are None without a Gaussian, and where
        the table includes it because it is not the only term or is modified.

    Raises:
        TypeError: If the bias is not a table.
    """
    if not attention.has_table:
        raise TypeError(
            f"attn_backend='triton' needs a bias that is a table of relative offsets, but "
            f"{type(attention).__name__} overrides position_bias; use 'auto'"
        )
    gaussian = attention.gaussian
    is_only = attention.position_terms == ['gaussian']
    if gaussian is None or not is_only or not is_plain(gaussian, GaussianBias):
        return attention.position_table(window_size, like), None, None
    return attention.learned_table(window_size, like), gaussian.amplitude, gaussian.sigma
