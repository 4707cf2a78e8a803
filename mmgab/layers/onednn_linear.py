"""Linear layers on a CPU through oneDNN, without autograd.

torch computes a linear layer as a product that is added to copies of the bias, in single precision
with MKL. oneDNN adds the bias and applies the activation while the product is in registers. The
operator is the one that TorchInductor emits for linear layers. docs/performance.md has the times.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import register_flop_formula

_OPERATOR = getattr(torch.ops.mkldnn, '_linear_pointwise', None)  # absent without oneDNN
_FEWEST_CHANNELS = 256  # in bfloat16; with 96 channels and many tokens it is slower than torch's


def fast_linear(x: Tensor, weight: Tensor, bias: Tensor | None, activation: str = 'none') -> Tensor:
    """Compute a linear layer and an activation, fast where gradients are not recorded.

    Args:
        x: ``(..., C)``.
        weight: ``(D, C)``, of the dtype of ``x``.
        bias: ``(D,)`` or None.
        activation: ``'none'`` or ``'gelu'``, the exact one.

    Returns:
        ``(..., D)``.
    """
    if _OPERATOR is not None and _is_supported(x, weight):
        algorithm = 'none' if activation == 'gelu' else ''  # as opposed to 'tanh'
        return _OPERATOR(x, weight, bias, activation, [], algorithm)
    out = F.linear(x, weight, bias)
    return torch.ops.aten.gelu_(out) if activation == 'gelu' else out


def _is_supported(x: Tensor, weight: Tensor) -> bool:
    return (
        not torch.is_grad_enabled()
        and bool(torch._C._get_mkldnn_enabled())
        and x.device.type == 'cpu'
        and x.dtype == weight.dtype
        and (x.dtype == torch.float32 or _is_large(x, weight))
        and type(x) is Tensor  # not a subclass, quantized or fake for example
        and type(weight) in (Tensor, nn.Parameter)
        and x.numel() > 0
    )


def _is_large(x: Tensor, weight: Tensor) -> bool:
    return x.dtype == torch.bfloat16 and min(weight.shape) >= _FEWEST_CHANNELS


if _OPERATOR is not None:

    @register_flop_formula(_OPERATOR)
    def _flops(x: list, weight: list, *_: object, **kw: object) -> int:
        return 2 * math.prod(x) * weight[0]
