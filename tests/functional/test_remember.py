import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from mmgab.functional import remember


@remember(2)
def ones(length):
    return torch.ones(length)


def test_what_is_made_once_is_handed_out_again_until_newer_things_take_its_place():
    first = ones(1)
    assert ones(1) is first
    ones(2), ones(3)
    assert ones(1) is not first


def test_what_inference_mode_makes_serves_a_training_step():
    ones.cache_clear()
    with torch.inference_mode():
        ones(4)
    x = torch.ones(4, requires_grad=True)
    (x * ones(4)).sum().backward()
    assert torch.equal(x.grad, torch.ones(4))


def test_tensors_without_values_are_not_remembered_nor_real_ones_handed_to_who_wants_none():
    ones.cache_clear()
    real = ones(4)
    with FakeTensorMode():
        assert type(ones(4)) is not torch.Tensor
        ones(5)
    assert ones(4) is real
    assert type(ones(5)) is torch.Tensor
