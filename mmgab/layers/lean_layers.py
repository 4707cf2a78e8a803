"""Modules run in the form that keeps less for backward, where that is the same.

The lean form (:mod:`mmgab.functional.fused_norms`) computes with the modules' parameters and does
not call them. So it is taken for these very classes alone, with nothing hooked to them. Everything
else is called as it is: another norm or activation, LoRA, a pruned layer, a hook on features.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules import module as every_module

from mmgab.functional import NormInputs, is_transformed, normed_linear

_INPUTS = '_mmgab_norm_inputs'  # attribute of a norm's output


class ReadsNormed(nn.Module):
    """A module that takes normed tokens, and what :func:`apply_norm` notes on them."""


def apply_norm(norm: nn.Module, x: Tensor, *readers: nn.Module) -> Tensor:
    """``norm(x)``, noting on it ``x``, from which backward can compute it again.

    Args:
        norm: The norm.
        x: Tokens.
        readers: The modules that take the result. Nothing is noted where one is not of ours, or is
            hooked to, wrapped or compiled: others may keep, change or trace what they see.
    """
    normed = norm(x)
    if not (torch.is_grad_enabled() and has_lean_form(norm, nn.LayerNorm)):
        return normed
    if all(map(_is_plain_reader, readers)) and not normed.is_inference():
        inputs = NormInputs(x, norm.weight, norm.bias, norm.eps)
        setattr(normed, _INPUTS, (inputs, normed._version))
    return normed


def _is_plain_reader(module: nn.Module) -> bool:
    is_compiled = module._compiled_call_impl is not None
    return isinstance(module, ReadsNormed) and is_plain(module, type(module)) and not is_compiled


def norm_inputs(normed: Tensor) -> NormInputs | None:
    """What :func:`apply_norm` noted; None if nothing, or if the output was changed in place."""
    inputs, version = getattr(normed, _INPUTS, (None, None))
    return inputs if inputs is None or version == normed._version else None


def apply_linear(linear: nn.Module, normed: Tensor) -> Tensor:
    """``linear(normed)``, of which backward keeps what :func:`apply_norm` noted, if it did."""
    inputs = norm_inputs(normed)
    if inputs is None or not has_lean_form(linear, nn.Linear):
        return linear(normed)
    return normed_linear(normed, inputs, linear.weight, linear.bias)


def linear_parts(x: Tensor, linear: nn.Module, count: int) -> Sequence[Tensor]:
    """``linear(x)``, its channels cut into parts.

    Of a plain layer, a product for each: runtimes of exported graphs copy what is cut out of a
    tensor.
    """
    if not is_plain(linear, nn.Linear):
        return linear(x).chunk(count, dim=-1)
    weights = linear.weight.chunk(count)
    biases = (None,) * count if linear.bias is None else linear.bias.chunk(count)
    return [F.linear(x, weight, bias) for weight, bias in zip(weights, biases, strict=True)]


def has_lean_form(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether a module is plain, and it is for us to decide what backward keeps of it.

    Never where ``torch.compile`` or an exporter looks on, which decides itself; nor where plain
    operators are needed, see :mod:`mmgab.functional.derivatives`.
    """
    is_traced = torch.compiler.is_compiling() or torch.jit.is_tracing()
    return not is_traced and is_plain(module, kind) and not is_transformed()


def is_plain(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether calling a module does what its class does, and nothing else.

    Not if it is of a subclass, something is hooked to it or to all modules, or something stands in
    the place of its ``forward``.
    """
    return (
        type(module) is kind
        and 'forward' not in module.__dict__
        and not (module._forward_hooks or module._forward_pre_hooks)
        and not (module._backward_hooks or module._backward_pre_hooks)
        and not (every_module._global_forward_hooks or every_module._global_forward_pre_hooks)
        and not (every_module._global_backward_hooks or every_module._global_backward_pre_hooks)
    )


def is_off(dropout: nn.Module) -> bool:
    """Whether a module is a plain dropout that drops nothing."""
    return is_plain(dropout, nn.Dropout) and not (dropout.training and dropout.p > 0)


def is_exporting() -> bool:
    """Whether a graph is made that must do without this package's operators.

    ``torch.export`` and ``torch.jit.trace``, which older exporters and counters of operations use;
    not ``torch.compile``, which knows the operators, and says to be exporting as well.
    """
    is_program = torch.compiler.is_exporting() and not torch.compiler.is_dynamo_compiling()
    return is_program or torch.jit.is_tracing()
