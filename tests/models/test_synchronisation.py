"""Forward and backward neither wait for an accelerator nor copy between devices.

On the meta device, which stands for a GPU: its tensors have no values to wait for. The package's
operators run as the Python functions that they are, so that every operation in them is seen.
"""

from unittest.mock import patch

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mmgab.functional import (
    attention_operator,
    tiled_attention_operator,
    window_index,
    window_offsets,
    window_order,
)
from mmgab.layers import attention, grid_attention
from mmgab.models import SwinGAB, ViTGAB

NETWORKS = {
    'SwinGAB': lambda: SwinGAB(embed_dims=16, depths=(2, 2), num_heads=(1, 2), strides=(4, 2),
                               out_indices=(0, 1), drop_path_rate=0.1),
    'SwinGAB, unfused': lambda: SwinGAB(embed_dims=16, depths=(2,), num_heads=(1,), strides=(4,),
                                        out_indices=(0,), attn_backend='explicit'),
    'ViTGAB': lambda: ViTGAB(embed_dims=24, depth=2, num_heads=3, out_indices=(1,), patch_size=8,
                             img_size=(56, 40), rel_pos_cfg=dict(type='table')),
    'ViTGAB, gates': lambda: ViTGAB(embed_dims=24, depth=2, num_heads=3, out_indices=(1,),
                                    patch_size=8, img_size=(56, 40), gpsa_cfg={}),
}  # fmt: skip


class DeviceWatch(TorchDispatchMode):
    """Record operations that synchronise, copy to another device, or compute on the CPU."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        tensors = [x for x in tree_leaves((args, kwargs, result)) if isinstance(x, torch.Tensor)]
        devices = {tensor.device.type for tensor in tensors if tensor.ndim}
        name = function.overloadpacket.__name__
        if name in ('_local_scalar_dense', 'nonzero', 'is_nonzero') or len(devices) > 1:
            self.found.append(name)
        return result


def plain(operator):
    """Return the Python function of a custom operator."""
    return operator._init_fn


@pytest.mark.parametrize('name', NETWORKS)
def test_forward_neither_synchronises_nor_copies_between_devices(name):
    windows = plain(attention_operator.window_attention_operator)
    tiles = plain(tiled_attention_operator.tiled_attention)
    with (
        patch.object(attention, 'window_attention_operator', windows),
        patch.object(grid_attention, 'tiled_attention', tiles),
    ):
        model = NETWORKS[name]().to('meta')
        image = torch.rand(2, 3, 61, 45, device='meta')
        with torch.no_grad():
            model(image)  # resized tables keep their interpolation weights on the device
            for cache in (window_order, window_index, window_offsets):
                cache.cache_clear()
            with DeviceWatch() as watch:
                maps = model(image)
        assert all(map_.device.type == 'meta' for map_ in maps)
    assert watch.found == []


def test_backward_operators_neither_synchronise_nor_copy_between_devices():
    qkv = torch.rand(2 * 30, 48, device='meta')
    grad, padding = torch.rand(60, 16, device='meta'), torch.rand(48, device='meta')
    bias, table = torch.rand(2, 9, 9, device='meta'), torch.rand(99, 2, device='meta')
    with DeviceWatch() as watch:
        plain(attention_operator._window_attention_backward)(
            grad, qkv, padding, bias, bias.new_empty(0, *bias.shape), [2, 5, 6], [3, 3], [1, 1], 1.0
        )
        plain(tiled_attention_operator._tiled_attention_backward)(
            grad, qkv, table, [2, 5, 6], 2, 1.0
        )
    assert watch.found == []


def test_watch_detects_a_copy_and_a_value():
    tensor = torch.rand(3, device='meta')
    with DeviceWatch() as watch:
        tensor + torch.rand(3).to('meta')
    assert watch.found
    with pytest.raises((RuntimeError, NotImplementedError), match='meta'):
        tensor.sum().item()
