"""Files of backbones that version 0.1.0 wrote, with the current code."""

import json

import pytest
import torch

from mmgab.checkpoints import Contents, fold, read_checkpoint, unfold

from .arithmetic import compute_as_0_1_0
from .make_files import (
    FILES,
    FOLDED_FILE,
    FOLDED_NETWORK,
    NETWORKS,
    build,
    drawn_hash,
    environment,
    file_of,
    pretrained,
)

# Another processor or another PyTorch may round sums and exponentials in another way.
IS_SAME_ENVIRONMENT = json.loads((FILES / 'environment.json').read_text()) == environment()


@pytest.fixture(autouse=True)
def _one_thread():
    """The number of threads is a part of the order in which sums are taken."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def loaded(name):
    network = build(name, init_cfg=pretrained(name))
    network.init_weights()
    return network


def contents(path):
    return Contents.of(read_checkpoint(path), str(path))


def without_indices(tensors):
    """Drop what a stock Swin saves and derives from its window's size."""
    return {n: t for n, t in tensors.items() if not n.endswith('.relative_position_index')}


def assert_same(tensors, expected):
    """The same bits where both were computed alike, else the same numbers within rounding."""
    assert tensors.keys() == expected.keys()
    tolerance = 0.0 if IS_SAME_ENVIRONMENT else 1e-5
    for name, tensor in tensors.items():
        torch.testing.assert_close(tensor, expected[name], rtol=tolerance, atol=tolerance)


def found_and_expected(network, name):
    outputs = read_checkpoint(FILES / 'outputs.safetensors')
    with torch.no_grad():
        features = network(outputs['image'])
    found = {f'{name}.{index}': feature for index, feature in enumerate(features)}
    return found, {key: out for key, out in outputs.items() if key.startswith(f'{name}.')}


@pytest.mark.parametrize('name', NETWORKS)
def test_network_loads_every_tensor_unchanged(name):
    tensors, state = read_checkpoint(file_of(name)), loaded(name).state_dict()
    assert state.keys() == tensors.keys()
    assert [key for key in state if not torch.equal(state[key], tensors[key])] == []


@pytest.fixture
def _computes_as_0_1_0(monkeypatch):
    compute_as_0_1_0(monkeypatch.setattr)


@pytest.mark.parametrize('name', NETWORKS)
def test_network_outputs_match_0_1_0_within_rounding(name):
    found, expected = found_and_expected(loaded(name), name)
    for key, feature in found.items():
        torch.testing.assert_close(feature, expected[key], rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures('_computes_as_0_1_0')
@pytest.mark.parametrize('name', NETWORKS)
def test_network_outputs_match_0_1_0(name):
    network = loaded(name)
    for module in network.modules():
        if getattr(module, 'local', None) is not None:
            module.attn_backend = 'explicit'  # version 0.1.0 fused no attention with gates
    assert_same(*found_and_expected(network, name))


def test_folded_network_matches_0_1_0():
    folded = loaded(FOLDED_NETWORK).fold_().state_dict()
    assert_same(folded, read_checkpoint(FILES / 'folded_network.safetensors'))


@pytest.mark.parametrize(
    ('name', 'folded'), [(FOLDED_FILE, 'folded_file'), (FOLDED_NETWORK, 'folded_network')]
)
def test_folded_file_matches_0_1_0(name, folded):
    folded = read_checkpoint(FILES / f'{folded}.safetensors')
    assert_same(fold(contents(file_of(name))).swin, without_indices(folded))


def test_unfolded_file_matches_0_1_0():
    unfolded, _ = unfold(contents(FILES / 'folded_file.safetensors'), per_head=True)
    expected = read_checkpoint(FILES / 'unfolded_file.safetensors')
    assert_same(unfolded.swin, expected)


def test_published_file_hash_and_tensors_match():
    (path,) = FILES.glob('published-*.pth')
    digits = path.stem.partition('-')[2]
    published, tensors = read_checkpoint(path, sha256=digits), read_checkpoint(file_of('vit_gated'))
    assert published.keys() == tensors.keys()
    assert [name for name in tensors if not torch.equal(published[name], tensors[name])] == []


@pytest.mark.skipif(not IS_SAME_ENVIRONMENT, reason='another PyTorch may draw other numbers')
@pytest.mark.parametrize('name', NETWORKS)
def test_seeded_initial_weights_match_0_1_0(name):
    assert drawn_hash(name) == json.loads((FILES / 'drawn.json').read_text())[name]
