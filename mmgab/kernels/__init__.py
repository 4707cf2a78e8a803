"""Attention in Triton kernels for NVIDIA GPUs; Triton is imported when a kernel is used."""

from .triton_operator import triton_window_attention

__all__ = ['triton_window_attention']
