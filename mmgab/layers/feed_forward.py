"""Feed-forward network (MLP) of a Swin block with selective activation recomputation.

The activation between its layers is recomputed in backward, as :mod:`~.fused_norms` recomputes the
norm before it.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from mmcv.cnn import build_activation_layer
from torch import Tensor, nn
from torch.autograd import Function

from mmgab.functional import is_backward_differentiated

from .fused_norms import (
    NormContext,
    NormInputs,
    ReadsNormed,
    autocast,
    bias_grad,
    has_lean_form,
    is_off,
    norm_inputs,
    weight_grad,
)
from .initial_values import DrawsInitialValues, draw_linear_
from .onednn_linear import fast_linear

_CHUNK_BYTES = 4 * 2**20  # of hidden activations


class FeedForward(DrawsInitialValues, ReadsNormed):
    """Two linear layers with an activation between them.

    Parameter names are those of every OpenMMLab checkpoint.

    Args:
        embed_dims: Channels ``C``.
        feedforward_channels: Hidden channels.
        act_cfg: The activation.
        drop_rate: Dropout probability after the activation and after the output.
        keep_hidden: Save the hidden activations for backward; False recomputes them.
    """

    def __init__(
        self,
        embed_dims: int,
        feedforward_channels: int,
        act_cfg: Mapping,
        drop_rate: float,
        keep_hidden: bool = True,
    ) -> None:
        super().__init__()
        self.embed_dims = embed_dims
        self.feedforward_channels = feedforward_channels
        self.keep_hidden = keep_hidden
        hidden = nn.Sequential(
            nn.Linear(embed_dims, feedforward_channels),
            build_activation_layer(act_cfg),
            nn.Dropout(drop_rate),
        )
        contract = nn.Linear(feedforward_channels, embed_dims)
        self.layers = nn.Sequential(hidden, contract, nn.Dropout(drop_rate))

    def draw_(self) -> None:
        """Initialise both linear layers."""
        for layer in self.layers.modules():
            if isinstance(layer, nn.Linear):
                draw_linear_(layer)

    def forward(self, x: Tensor) -> Tensor:
        """Transform normed tokens ``(..., C)``."""
        norm = norm_inputs(x)
        is_norm_kept = norm is not None or not torch.is_grad_enabled()
        lean = self._lean_layers() if is_norm_kept else None
        if lean is None:
            return self.layers(x)
        expand, contract = lean
        weights, biases = (expand.weight, contract.weight), (expand.bias, contract.bias)
        return feed_forward(x, norm, weights, biases, self.keep_hidden)

    def _lean_layers(self) -> tuple[nn.Linear, nn.Linear] | None:
        """Return the linear layers if no layer was replaced or hooked and no dropout is active."""
        if not has_lean_form(self.layers, nn.Sequential) or len(self.layers) != 3:
            return None
        hidden, contract, output_drop = self.layers
        if not has_lean_form(hidden, nn.Sequential) or len(hidden) != 3:
            return None
        expand, activation, drop = hidden
        is_gelu = has_lean_form(activation, nn.GELU) and activation.approximate == 'none'
        if not (is_gelu and is_off(drop) and is_off(output_drop)):
            return None
        if has_lean_form(expand, nn.Linear) and has_lean_form(contract, nn.Linear):
            return expand, contract
        return None


def feed_forward(
    normed: Tensor,
    norm: NormInputs | None,
    weights: tuple[Tensor, Tensor],
    biases: tuple[Tensor | None, Tensor | None],
    keep_hidden: bool = True,
) -> Tensor:
    """Apply linear layer, exact GELU and linear layer to a layer norm's output.

    Args:
        normed: Output of the norm, ``(..., C)``.
        norm: Inputs of the norm, saved for backward; may be None without gradients.
        weights: ``(D, C)`` and ``(C, D)``.
        biases: ``(D,)`` and ``(C,)``, each may be None.
        keep_hidden: Also save the output of the first layer, ``(..., D)``. False recomputes it
            with one more matrix product in backward.

    Returns:
        ``(..., C)``.
    """
    (expand, contract), (expand_bias, contract_bias) = weights, biases
    tensors = autocast(normed, expand, expand_bias, contract, contract_bias)
    if not torch.is_grad_enabled():
        return _infer(*tensors)
    assert norm is not None
    return _FeedForward.apply(keep_hidden, normed.dtype, *tensors, *norm)


def _infer(
    normed: Tensor,
    expand: Tensor,
    expand_bias: Tensor | None,
    contract: Tensor,
    contract_bias: Tensor | None,
) -> Tensor:
    """Compute :func:`feed_forward` without gradients, on a CPU in chunks of tokens.

    The hidden activations of a chunk fit the caches; a chunk has several times as many tokens as
    the layer has channels, because each chunk reads the weights.
    """
    hidden, channels = expand.shape
    tokens = normed.reshape(-1, channels)
    size = len(tokens)
    if normed.device.type == 'cpu':
        size = max(_CHUNK_BYTES // (hidden * normed.element_size()), 8 * channels)
    parts = []
    for rows in tokens.split(size or 1):
        activated = fast_linear(rows, expand, expand_bias, 'gelu')
        parts.append(fast_linear(activated, contract, contract_bias))
    return (parts[0] if len(parts) == 1 else torch.cat(parts)).view(normed.shape)


class _FeedForward(Function):
    @staticmethod
    def forward(
        ctx: NormContext,
        keep_hidden: bool,
        norm_dtype: torch.dtype,
        normed: Tensor,
        expand: Tensor,
        expand_bias: Tensor | None,
        contract: Tensor,
        contract_bias: Tensor | None,
        x: Tensor,
        norm_weight: Tensor | None,
        norm_bias: Tensor | None,
        eps: float,
    ) -> Tensor:
        hidden = fast_linear(normed, expand, expand_bias)
        kept = hidden if keep_hidden else None
        norm = (x, norm_weight, norm_bias)
        ctx.save_for_backward(expand, expand_bias, contract, kept, *norm)
        ctx.norm_dtype, ctx.eps = norm_dtype, eps
        return fast_linear(F.gelu(hidden), contract, contract_bias)

    @staticmethod
    def backward(ctx: NormContext, grad: Tensor) -> tuple[Tensor | None, ...]:
        expand, expand_bias, contract, hidden, *inputs = ctx.saved_tensors
        needs_normed, needs_expand, needs_bias, needs_contract, needs_last = ctx.needs_input_grad[
            2:7
        ]
        is_differentiated = is_backward_differentiated(grad)
        norm = NormInputs(inputs[0], inputs[1], inputs[2], ctx.eps)
        normed = norm.norm(ctx.norm_dtype).to(grad.dtype)
        if hidden is None or is_differentiated:  # a saved tensor has no autograd history
            hidden = fast_linear(normed, expand, expand_bias)
        activated = F.gelu(hidden)
        grad_contract = weight_grad(grad, activated) if needs_contract else None
        if is_differentiated:
            grad_hidden = torch.ops.aten.gelu_backward(grad @ contract, hidden)
        else:
            # Reuse the buffer of the activation: on a CPU, allocation costs as much as arithmetic.
            grad_hidden = torch.matmul(grad, contract, out=activated)
            torch.ops.aten.gelu_backward.grad_input(grad_hidden, hidden, grad_input=grad_hidden)
        return (
            None,
            None,
            grad_hidden @ expand if needs_normed else None,
            weight_grad(grad_hidden, normed) if needs_expand else None,
            bias_grad(grad_hidden) if needs_bias else None,
            grad_contract,
            bias_grad(grad) if needs_last else None,
            *[None] * 4,
        )
