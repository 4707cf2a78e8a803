"""Kinds of differentiation that need plain operators, each differentiable in its turn.

Operators with a backward of their own are for first derivatives in reverse mode, which training
takes. Others are gradient penalties, Hessians, per-sample gradients, forward-mode derivatives.
"""

import torch
from torch import Tensor
from torch.autograd import forward_ad


def is_transformed() -> bool:
    """Whether a transform of ``torch.func``, or forward-mode differentiation, is active."""
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def is_backward_differentiated(grad: Tensor) -> bool:
    """Whether a backward pass that got this gradient is differentiated itself, or is of a batch.

    That is ``create_graph=True`` and ``is_grads_batched=True``.
    """
    is_batch = torch._C._functorch.is_legacy_batchedtensor(grad)
    return torch.is_grad_enabled() or is_batch or is_transformed()
