"""Arbitrary checkpoint files load completely, or raise an error with the file name."""

import random
from collections import OrderedDict

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from mmgab.checkpoints import load, read_checkpoint, write_checkpoint
from mmgab.models import SwinGAB

SMALL = dict(embed_dims=8, depths=(1, 1), num_heads=(1, 2), strides=(4, 2), out_indices=(0, 1))
WRAPPERS = ('state_dict', 'model', 'model_ema', 'state_dict_ema', 'weird')
PREFIXES = ('', 'module.', 'backbone.', 'module.backbone.', 'encoder.', 'x')


@pytest.fixture(scope='module')
def path(tmp_path_factory):
    return tmp_path_factory.mktemp('fuzz') / 'fuzzed.pth'


def swin(**changes):
    torch.manual_seed(0)
    return SwinGAB(**{**SMALL, **changes})


def assert_named(error):
    """Assert that an error names the file."""
    assert 'fuzzed' in str(error)


changes = st.lists(
    st.tuples(
        st.sampled_from(
            ['drop', 'rename', 'transpose', 'cut', 'nan', 'text', 'number', 'none', 'half', 'long']
        ),
        st.integers(0, 10**6),
    ),
    max_size=3,
)


def change(tensors, kind, number):
    """Apply one defect to a state dict."""
    name = sorted(tensors)[number % len(tensors)]
    tensor = tensors[name]
    if not isinstance(tensor, torch.Tensor):
        return
    new = {
        'drop': None, 'transpose': tensor.transpose(0, -1) if tensor.ndim else tensor,
        'cut': tensor[..., :-1] if tensor.ndim else tensor, 'nan': tensor.float() * float('nan'),
        'text': 'a text', 'number': 3, 'none': None, 'half': tensor.half(), 'long': tensor.long(),
        'rename': tensor,
    }[kind]  # fmt: skip
    if kind in ('drop', 'rename'):
        del tensors[name]
    if kind == 'rename':
        tensors[f'{name}.{number % 7}'] = new
    elif kind != 'drop':
        tensors[name] = new


@given(
    changes,
    st.lists(st.sampled_from(WRAPPERS), max_size=2),
    st.sampled_from(PREFIXES),
    st.sampled_from([{}, dict(gab_cfg=None), dict(window_size=5), dict(depths=(1, 2)),
                     dict(embed_dims=16), dict(use_abs_pos_embed=True)]),
    st.booleans(),
)  # fmt: skip
def test_checkpoint_loads_completely_or_raises(path, changed, wrappers, prefix, other, strict):
    tensors = OrderedDict(swin(**other).state_dict())
    for kind, number in changed:
        if tensors:
            change(tensors, kind, number)
    content = {prefix + name: tensor for name, tensor in tensors.items()}
    for wrapper in wrappers:
        content = {wrapper: content}
    torch.save(content, path)
    backbone = swin()
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    try:
        report = load(backbone, path, strict=strict)
    except ValueError as error:
        assert_named(error)
        after = backbone.state_dict()
        assert all(torch.equal(before[name], after[name]) for name in before)
        return
    assert 'fuzzed.pth' in str(report)
    if strict:
        assert all(torch.isfinite(tensor).all() for tensor in backbone.state_dict().values())


@given(st.binary(max_size=300), st.sampled_from(['.pth', '.safetensors']))
@example(b'PK\x05\x06' + bytes(18), '.pth')
@example(b'\x80\x02c__builtin__\neval\n', '.pth')
@example(b'\x08\x00\x00\x00\x00\x00\x00\x00{"a":[]}', '.safetensors')
def test_invalid_bytes_raise_an_error_with_the_file_name(path, content, suffix):
    file = path.with_suffix(suffix)
    file.write_bytes(content)
    with pytest.raises(ValueError, match='fuzzed'):
        read_checkpoint(file)


@given(st.integers(0, 2**32), st.sampled_from(['.pth', '.safetensors']))
def test_file_with_changed_bytes_reads_unchanged_or_raises(path, seed, suffix):
    """Safetensors files have no checksums, so only their header is changed."""
    file, chance = path.with_suffix(suffix), random.Random(seed)
    weights = {'weight': torch.arange(64.0), 'bias': torch.ones(3)}
    write_checkpoint(weights, file, force=True)
    content = bytearray(file.read_bytes())
    end = len(content) if suffix == '.pth' else int.from_bytes(content[:8], 'little')
    for _ in range(chance.randint(1, 4)):
        content[chance.randrange(end)] = chance.randrange(256)
    file.write_bytes(content)
    try:
        found = read_checkpoint(file)
    except ValueError as error:
        assert_named(error)
        return
    if suffix == '.pth':
        assert found.keys() == weights.keys()
        assert all(torch.equal(found[name], weights[name]) for name in weights)
