"""Receptive fields of networks whose fields are known, and beside another implementation."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmgab.analysis.erf import PROTOCOLS, centre, load_erf, measure_erf, positions, save_erf

RAW = PROTOCOLS['raw']


def images(count=3, size=(20, 31), seed=0):
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(seed))


def batches(x, batch_size=2):
    for start in range(0, len(x), batch_size):
        part = x[start : start + batch_size]
        yield [f'image {start + i}' for i in range(len(part))], part


def measure(features, x, units=centre, protocol=RAW, batch_size=2):
    return list(measure_erf(features, batches(x, batch_size), units, protocol))[-1]


def convolution(kernel):
    """Sum over colours, filtered by a kernel; as large as the image."""
    weight = torch.as_tensor(kernel, dtype=torch.float32).expand(1, 3, -1, -1)
    return lambda x: F.conv2d(x, weight, padding=(weight.shape[2] // 2, weight.shape[3] // 2))


def test_the_field_of_one_convolution_is_its_kernel():
    kernel = np.random.default_rng(0).normal(size=(3, 5))
    erf = measure(convolution(kernel), images())
    expected = np.zeros((20, 31))
    expected[9 - 1 : 9 + 2, 15 - 2 : 15 + 3] = 3 * kernel  # three colours
    np.testing.assert_allclose(erf.sums[0].mean, expected, atol=1e-6)


def test_the_field_of_a_chain_of_boxes_is_their_convolution():
    box = convolution(np.full((3, 3), 1 / 9))
    later = nn.AvgPool2d(3, stride=1, padding=1)

    def chain(x):
        x = box(x)
        for _ in range(3):
            x = later(x)
        return x

    profile = np.ones(1)
    for _ in range(4):
        profile = np.convolve(profile, np.full(3, 1 / 3))
    erf = measure(chain, images(size=(33, 33)), protocol=PROTOCOLS['gab2023'])
    expected = np.zeros((33, 33))
    expected[16 - 4 : 16 + 5, 16 - 4 : 16 + 5] = np.outer(profile, profile)
    np.testing.assert_allclose(erf.sums[0].mean, expected, atol=1e-7)


@pytest.mark.parametrize('name', list(PROTOCOLS))
def test_identity_has_a_one_pixel_receptive_field(name):
    mean = measure(lambda x: x, images() + 10, protocol=PROTOCOLS[name]).sums[0].mean
    assert np.argwhere(mean).tolist() == [[9, 15]]


def test_replknet_protocol_ignores_negative_channels():
    below = images() - 10
    erf = measure(lambda x: x, below, protocol=PROTOCOLS['replknet'])
    assert set(erf.refused.values()) == {'gradients that are all zero'}
    assert measure(lambda x: x, below, protocol=PROTOCOLS['gab2023']).refused == {}


@pytest.mark.parametrize('name', list(PROTOCOLS))
def test_constant_mean_after_norm_has_no_field(name):
    torch.manual_seed(0)
    weight = torch.randn(64, 3, 3, 3)

    def features(x):
        return F.layer_norm(F.conv2d(x, weight, padding=1).permute(0, 2, 3, 1), (64,)).permute(
            0, 3, 1, 2
        )

    erf = measure(features, images(), protocol=PROTOCOLS[name])
    if name == 'replknet':  # only what is positive is summed, and that is no constant
        assert (erf.refused, erf.sums[0].count) == ({}, 3)
    else:
        assert len(erf.refused) == 3
        assert all('a norm that was not trained' in reason for reason in erf.refused.values())


def network(seed=0):
    torch.manual_seed(seed)
    layers = (nn.Conv2d(3, 8, 3, 2, 1), nn.GELU(), nn.Conv2d(8, 8, 3, 2, 1), nn.GELU())
    return nn.Sequential(*layers, nn.Conv2d(8, 4, 3, 1, 1)).requires_grad_(False)


def test_a_flipped_network_has_the_flipped_field():
    model, x = network(), images(size=(24, 40))

    def flipped(x):
        return model(x.flip(3)).flip(3)

    plain = measure(model, x, positions([(2, 3)]))
    mirrored = measure(flipped, x.flip(3), positions([(2, -4)]))
    np.testing.assert_allclose(mirrored.sums[0].mean[:, ::-1], plain.sums[0].mean, atol=1e-7)
    assert mirrored.centre(0) == (plain.centre(0)[0], 39 - plain.centre(0)[1])


def test_batch_equals_single_images():
    model, x = network(), images(5, (24, 40))
    once, by_one = measure(model, x, batch_size=5), measure(model, x, batch_size=1)
    np.testing.assert_allclose(once.sums[0].mean, by_one.sums[0].mean, atol=1e-7)
    np.testing.assert_allclose(once.sums[0].second_moment, by_one.sums[0].second_moment, atol=1e-9)


def test_sums_do_not_grow_with_the_number_of_images():
    model = network()
    few, many = measure(model, images(2)), measure(model, images(70))
    assert many.sums[0].groups.shape == few.sums[0].groups.shape
    assert many.sums[0].count == 70
    single = [measure(model, one[None]).sums[0].mean for one in images(70)]
    np.testing.assert_allclose(many.sums[0].mean, np.mean(single, axis=0), atol=1e-7)
    np.testing.assert_allclose(
        many.sums[0].second_moment, np.mean(np.square(single), axis=0), atol=1e-7
    )


def test_intervals_come_from_images_drawn_again():
    sums = measure(network(), images(40)).sums[0]
    draws = np.random.default_rng(0)
    samples = np.array([sums.resampled(draws) for _ in range(400)])
    np.testing.assert_allclose(samples.mean(axis=0) / 40, sums.mean, atol=5 * samples.std() / 400)
    assert samples.std(axis=0).max() > 0


def test_images_without_gradient_are_reported_and_skipped():
    x = images(4)
    x[1] = torch.nan
    x[2] = 0.0

    def features(x):
        return x.square()  # of zeros the gradient is zero

    erf = measure(features, x)
    assert erf.refused == {
        'image 1': 'gradients that are not finite',
        'image 2': 'gradients that are all zero',
    }
    assert (erf.sums[0].count, erf.seen) == (2, 4)
    assert np.isfinite(erf.sums[0].mean).all()


def test_unit_outside_the_map_raises_error():
    with pytest.raises(ValueError, match=r'\(20, 3\) is outside of the feature map of 20 x 31'):
        measure(lambda x: x, images(), positions([(20, 3)]))


def test_images_of_another_size_raise_error():
    parts = [(['a'], images(1)), (['b'], images(1, (8, 8)))]
    with pytest.raises(
        ValueError, match=r'b: all images must have the same size, got \(8, 8\) pixels'
    ):
        list(measure_erf(lambda x: x, parts, centre, RAW))


def test_resumed_measurement_equals_uninterrupted(tmp_path):
    model, x = network(), images(6)
    parts = list(batches(x, 2))
    first = list(measure_erf(model, parts[:2], centre, RAW))[-1]
    save_erf(first, tmp_path / 'a.npz', dict(layer='x'))
    loaded, meta = load_erf(tmp_path / 'a.npz')
    assert meta == dict(layer='x')
    resumed = list(measure_erf(model, parts[2:], centre, RAW, loaded))[-1]
    whole = measure(model, x)
    assert (resumed.seen, resumed.units, resumed.grid) == (6, whole.units, whole.grid)
    np.testing.assert_allclose(resumed.sums[0].groups, whole.sums[0].groups)
    np.testing.assert_allclose(resumed.sums[0].second_moment, whole.sums[0].second_moment)


def test_file_of_another_kind_raises_error(tmp_path):
    (tmp_path / 'a.npz').write_bytes(b'not a zip')
    with pytest.raises(ValueError, match=r'a\.npz is not a file of receptive fields'):
        load_erf(tmp_path / 'a.npz')
