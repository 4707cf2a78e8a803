"""RLE counts decode as in pycocotools, and invalid ones raise an error."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco

from mmgab.datasets.check.run_lengths import run_lengths

MASKS = st.tuples(
    st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1), st.floats(0, 1)
)


def drawn(height, width, seed, share):
    """Return a random mask in the memory layout of pycocotools."""
    pixels = np.random.default_rng(seed).random((height, width)) < share
    return np.asfortranarray(pixels.astype(np.uint8))


def rebuilt(runs, height, width):
    values = np.arange(len(runs)) % 2
    return np.repeat(values, runs).reshape((height, width), order='F')


@given(MASKS)
def test_pycocotools_rle_is_decoded(given):
    mask = drawn(*given)
    runs = run_lengths(coco.encode(mask)['counts'].decode())
    assert np.array_equal(rebuilt(runs, *mask.shape), mask)
    assert run_lengths(runs) == runs


def test_rle_of_large_masks_is_decoded():
    mask = np.zeros((5000, 5000), np.uint8, order='F')
    mask[1:-1, 7:4990] = 1
    runs = run_lengths(coco.encode(mask)['counts'].decode())
    assert sum(runs) == mask.size
    assert sum(runs[1::2]) == mask.sum()


@given(st.text(st.characters(min_codepoint=46, max_codepoint=112), max_size=40))
def test_any_string_decodes_as_in_pycocotools_or_raises(text):
    try:
        runs = run_lengths(text)
    except ValueError:
        return
    assert all(run >= 0 for run in runs)
    if 0 < sum(runs) < 10**6:
        mask = coco.decode(dict(size=[1, sum(runs)], counts=text))
        assert np.array_equal(rebuilt(runs, 1, sum(runs)), mask)


@pytest.mark.parametrize(
    'counts',
    [
        None, 7, {}, True, [-1], [3, -2, 3], [1.5], ['4'], [True], [None], [[4]], [float('nan')],
        [float('inf')], [10**400], '\x00', 'ü', '\ud800', 'a b', 'o' * 8 + '0', 'P',
    ],
    ids=repr,
)  # fmt: skip
def test_invalid_counts_raise_an_error(counts):
    with pytest.raises(ValueError, match=r'counts|run of|character|number'):
        run_lengths(counts)


def test_long_strings_decode_in_linear_time():
    with pytest.raises(ValueError, match='more than 7 characters'):
        run_lengths('o' * 10**7)
    assert len(run_lengths('1' * 10**6)) == 10**6
