"""Modules run in the form that keeps less for backward, where that is the same.

The lean form (:mod:`mmgab.functional.lean_layers`) computes with the modules' parameters and does
not call them. So it is taken for these very classes alone, with nothing hooked to them. Everything
else is called as it is: another norm or activation, LoRA, a pruned layer, a hook on features.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules import module as every_module

from mmgab.functional import normed_linear


def linear_of_norm(x: Tensor, norm: nn.Module, linear: nn.Module) -> Tensor:
    """``linear(norm(x))``."""
    if torch.is_grad_enabled() and are_plain(norm, (linear, nn.Linear)):
        return normed_linear(x, norm.weight, norm.bias, norm.eps, linear.weight, linear.bias)
    return linear(norm(x))


def linear_parts(x: Tensor, linear: nn.Module, count: int) -> Sequence[Tensor]:
    """``linear(x)``, its channels cut into parts.

    Of a plain layer, a product for each: runtimes of exported graphs copy what is cut out of a
    tensor.
    """
    if type(linear) is not nn.Linear or _is_altered(linear) or _has_global_hooks():
        return linear(x).chunk(count, dim=-1)
    weights = linear.weight.chunk(count)
    biases = (None,) * count if linear.bias is None else linear.bias.chunk(count)
    return [F.linear(x, weight, bias) for weight, bias in zip(weights, biases, strict=True)]


def are_plain(norm: nn.Module, *modules: tuple[nn.Module, type[nn.Module]]) -> bool:
    """Whether calling a norm and what follows does what these classes do, and nothing else.

    Never where ``torch.compile`` or an exporter looks on: it decides itself what is kept.

    Args:
        norm: Must be a layer norm with a weight.
        modules: Each with the class that it must be.
    """
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or _has_global_hooks():
        return False
    classes = ((norm, nn.LayerNorm), *modules)
    are_stock = all(type(module) is kind and not _is_altered(module) for module, kind in classes)
    return are_stock and norm.weight is not None


def is_exporting() -> bool:
    """Whether a graph is made that must do without this package's operators.

    ``torch.export`` and ``torch.jit.trace``, which older exporters and counters of operations use;
    not ``torch.compile``, which knows the operators, and says to be exporting as well.
    """
    is_program = torch.compiler.is_exporting() and not torch.compiler.is_dynamo_compiling()
    return is_program or torch.jit.is_tracing()


def _is_altered(module: nn.Module) -> bool:
    """Whether something is hooked to a module, or stands in the place of its ``forward``."""
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        or 'forward' in module.__dict__
    )


def _has_global_hooks() -> bool:
    return bool(
        every_module._global_forward_hooks
        or every_module._global_forward_pre_hooks
        or every_module._global_backward_hooks
        or every_module._global_backward_pre_hooks
    )
