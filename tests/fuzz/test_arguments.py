"""SwinGAB accepts arbitrary arguments and inputs, or raises an error that names the argument."""

import inspect
import math

import torch
from hypothesis import example, given
from hypothesis import strategies as st

from mmgab.models import SwinGAB

NAMES = set(inspect.signature(SwinGAB).parameters)
# Names in error messages: arguments, keys inside them, and the input.
KNOWN = NAMES | {'image', 'amplitude', 'sigma', 'gate', 'stages', 'type', 'per_head', 'learnable'}

odd = st.sampled_from([None, 'a', -1, 0, 1.5, True, (), (1, 2, 3), {}, math.nan, math.inf, 10**9])
few = st.integers(-1, 3)
# Exclude valid sizes that exceed the memory.
odd_size = odd.filter(lambda value: value != 10**9)
pairs = st.one_of(few, st.tuples(few, few), odd_size)
lists = st.one_of(st.lists(st.integers(-1, 4), max_size=5), odd)
rates = st.one_of(st.floats(0, 1), odd)
methods = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {},
        optional=dict(
            amplitude=st.one_of(st.floats(), odd), sigma=st.one_of(st.floats(), odd),
            per_head=st.one_of(st.booleans(), odd), learnable=st.booleans(),
            type=st.sampled_from(['CB', 'CBS', 'CBG', 'XY']), stages=lists,
            gate=st.one_of(st.floats(), odd), strength=st.one_of(st.floats(), odd),
        ),
    ),
    odd,
)  # fmt: skip
ARGUMENTS = dict(
    pretrain_img_size=st.one_of(st.integers(0, 40), pairs),
    in_channels=pairs,
    embed_dims=st.one_of(st.sampled_from([4, 8, 12]), odd_size),
    patch_size=pairs,
    window_size=pairs,
    mlp_ratio=st.one_of(st.floats(0.1, 4), odd_size),
    depths=lists,
    num_heads=lists,
    strides=lists,
    out_indices=lists,
    qkv_bias=st.booleans(),
    qk_scale=st.one_of(st.none(), st.floats(), odd),
    patch_norm=st.booleans(),
    drop_rate=rates,
    attn_drop_rate=rates,
    drop_path_rate=rates,
    use_abs_pos_embed=st.booleans(),
    with_cp=st.one_of(st.booleans(), st.just('selective'), odd),
    frozen_stages=st.one_of(few, odd),
    gab_cfg=methods,
    cb_cfg=methods,
    gpsa_cfg=methods,
    attn_backend=st.one_of(st.sampled_from(['auto', 'sdpa', 'explicit']), odd),
)
SOUND = dict(
    embed_dims=8, depths=(1, 1), num_heads=(1, 2), strides=(2, 2), patch_size=2, window_size=3,
    out_indices=(0, 1), pretrain_img_size=16,
)  # fmt: skip
some_arguments = st.lists(st.sampled_from(sorted(ARGUMENTS)), max_size=3, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: ARGUMENTS[name] for name in names})
)


def assert_names_an_argument(error, words):
    """Assert that an error names the argument."""
    assert any(word in str(error) for word in words), f'{type(error).__name__}: {error}'


@given(some_arguments)
@example(dict(depths=()))
@example(dict(out_indices=[1, 0]))  # maps come in the order of the stages, as stock Swin's
def test_arguments_work_or_are_named_in_the_error(arguments):
    try:
        backbone = SwinGAB(**{**SOUND, **arguments})
        image = torch.randn(1, backbone.patch_embed.projection.in_channels, 9, 14)
    except (TypeError, ValueError) as error:
        assert_names_an_argument(error, KNOWN)
        return
    features = backbone(image)
    assert len(features) == len(backbone.out_indices)
    for index, feature in zip(sorted(backbone.out_indices), features, strict=True):
        assert feature.shape[:2] == (1, backbone.num_features[index])


shapes = st.one_of(
    st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(0, 40), st.integers(0, 40)),
    st.lists(st.integers(0, 9), max_size=6).map(tuple),
)
dtypes = st.sampled_from(
    [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.bool,
     torch.complex64]
)  # fmt: skip


@given(shapes, dtypes, st.booleans())
@example((), torch.float32, False)  # each was once an unspecific error of torch
@example((3, 8, 8), torch.float32, False)
@example((1, 2, 8, 8), torch.float32, False)
@example((1, 3, 0, 8), torch.float32, False)
@example((1, 3, 8, 8), torch.int64, False)
@example((1, 3, 8, 8), torch.float64, False)
@example((0, 3, 8, 8), torch.float32, True)
def test_inputs_work_or_are_named_in_the_error(shape, dtype, learns):
    torch.manual_seed(0)
    backbone = SwinGAB(**SOUND).train(learns)
    try:
        features = backbone(torch.ones(shape).to(dtype))
    except (TypeError, ValueError) as error:
        assert_names_an_argument(error, ('image', 'x must', 'in_channels', 'channels'))
        return
    batch, channels, height, width = shape
    assert channels == 3
    assert min(height, width) >= 1
    for level, feature in enumerate(features):
        step = 2 ** (level + 1)
        expected = (batch, 8 * 2**level, math.ceil(height / step), math.ceil(width / step))
        assert feature.shape == expected
        assert torch.isfinite(feature).all()
