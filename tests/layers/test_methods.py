"""The table of methods, against what the backbones really have."""

import pytest
import torch

from mmgab.checkpoints import Contents, fold
from mmgab.engine import load_config
from mmgab.layers.methods import METHODS
from mmgab.models import SwinGAB, ViTGAB

from ..conftest import ROOT

SWIN = dict(embed_dims=8, depths=(2, 1), num_heads=(1, 2), strides=(4, 2), out_indices=(0, 1))
VIT = dict(embed_dims=8, depth=2, num_heads=2, out_indices=(1,))
ALL = [dict(gab_cfg={}, gpsa_cfg={}, cb_cfg=dict(type=kind)) for kind in ('CB', 'CBS', 'CBG')]
NONE = dict(gab_cfg=None)


@pytest.mark.parametrize('kind', [SwinGAB, ViTGAB])
def test_each_method_tensor_matches_exactly_one_row(kind):
    sizes = SWIN if kind is SwinGAB else VIT
    plain = set(kind(**sizes, **NONE).state_dict())
    seen = set()
    for methods in ALL:
        for name in kind(**sizes, **methods).state_dict():
            rows = [row.name for row in METHODS if row.has(name)]
            assert len(rows) == (name not in plain), name
            seen |= {(row, name.rpartition('.')[2]) for row in rows}
    assert seen == {(row.name, tensor) for row in METHODS for tensor in row.tensors}


def test_argument_adds_the_tensors_of_its_row():
    for row in METHODS:
        on = dict(type='CB') if row.argument == 'cb_cfg' else {}
        names = SwinGAB(**SWIN, **{**NONE, row.argument: on}).state_dict()
        assert [other.name for other in METHODS if other.is_in(names)] == [row.name]


def test_row_table_equals_attention_bias():
    network = SwinGAB(**SWIN, gab_cfg=dict(per_head=True, sigma=2.0))
    attention = network.stages[1].blocks[0].attn.w_msa
    bias = attention.position_bias()
    before = attention.relative_position_bias_table.detach().clone()
    name = 'stages.1.blocks.0.attn.w_msa.relative_position_bias_table'
    folded = fold(Contents.of(network.state_dict(), 'network')).swin[name]
    assert not torch.equal(folded, before)
    attention.gaussian = None
    attention.relative_position_bias_table.data = folded
    assert torch.equal(attention.position_bias(), bias)


@pytest.mark.slow
@pytest.mark.parametrize(
    'path', sorted((ROOT / 'configs').glob('*g[ap]*.py')), ids=lambda path: path.stem
)
def test_configs_respect_no_weight_decay_rows(path):
    """Decay is off by name or by ``flat_decay_mult``, which covers all but ``position``."""
    config = load_config(str(path))
    settings = config.optim_wrapper.get('paramwise_cfg') or {}
    keys = settings.get('custom_keys', {})
    given = {'gab_cfg': {}, **config.model.backbone}  # by default there is the Gaussian
    rows = [row for row in METHODS if given.get(row.argument) is not None]
    assert rows
    for row in rows:
        for tensor in row.tensors:
            name = f'backbone.stages.0.blocks.0.{row.path}.{tensor}'
            by_name = [key for key in keys if key in name and keys[key].get('decay_mult') == 0]
            by_rule = settings.get('flat_decay_mult') == 0 and tensor != 'position'
            assert bool(by_name or by_rule) != row.is_decayed, f'{tensor} of {row.name}'
