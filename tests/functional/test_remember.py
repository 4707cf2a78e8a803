import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from mmgab.functional import remember


@remember(2)
def ones(length):
    return torch.ones(length)


def test_cache_returns_results_until_evicted():
    first = ones(1)
    assert ones(1) is first
    ones(2), ones(3)
    assert ones(1) is not first


def test_inference_mode_results_serve_training():
    ones.cache_clear()
    with torch.inference_mode():
        ones(4)
    x = torch.ones(4, requires_grad=True)
    (x * ones(4)).sum().backward()
    assert torch.equal(x.grad, torch.ones(4))


def test_fake_tensors_bypass_the_cache():
    ones.cache_clear()
    real = ones(4)
    with FakeTensorMode():
        assert type(ones(4)) is not torch.Tensor
        ones(5)
    assert ones(4) is real
    assert type(ones(5)) is torch.Tensor
