"""The model wrapper of a config is used, on CPUs too."""

import pytest
import torch
from mmengine.model import MMDistributedDataParallel, MMSeparateDistributedDataParallel
from mmengine.registry import MODEL_WRAPPERS
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from mmgab.engine.model_wrapper import wrap_on_cpu


class StaticGraphWrapper(MMDistributedDataParallel):
    pass


class OwnWrapper(nn.Module):
    """Synchronises nothing, and takes no device."""

    def __init__(self, module, rate=1.0):
        super().__init__()
        self.module, self.rate = module, rate


@pytest.fixture(autouse=True)
def one_process(tmp_path):
    distributed.init_process_group('gloo', f'file://{tmp_path}/store', rank=0, world_size=1)
    MODEL_WRAPPERS.register_module(module=StaticGraphWrapper)
    MODEL_WRAPPERS.register_module(module=OwnWrapper)
    yield
    for kind in (StaticGraphWrapper, OwnWrapper):
        MODEL_WRAPPERS.module_dict.pop(kind.__name__)
    distributed.destroy_process_group()


def model():
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.SyncBatchNorm(4))


@pytest.mark.parametrize(
    ('settings', 'kind'),
    [
        (None, MMDistributedDataParallel),
        (dict(), MMDistributedDataParallel),
        (dict(type='MMDistributedDataParallel'), MMDistributedDataParallel),
        (dict(type='MMSeparateDistributedDataParallel'), MMSeparateDistributedDataParallel),
        (dict(type=MMSeparateDistributedDataParallel), MMSeparateDistributedDataParallel),
        (dict(type='StaticGraphWrapper', static_graph=True), StaticGraphWrapper),
        (dict(type='OwnWrapper', rate=2.0), OwnWrapper),
        (dict(type=OwnWrapper, rate=2.0), OwnWrapper),
    ],
)
def test_model_wrapper_comes_from_the_config(settings, kind):
    wrapped = wrap_on_cpu(settings, model(), find_unused_parameters=True)
    assert type(wrapped) is kind
    assert not [m for m in wrapped.modules() if isinstance(m, nn.SyncBatchNorm)]
    if settings is None:
        assert wrapped.find_unused_parameters
    if kind is OwnWrapper:
        assert wrapped.rate == 2.0


def test_wrapped_model_trains():
    wrapped = wrap_on_cpu(dict(type='StaticGraphWrapper', static_graph=True), model(), False)
    assert isinstance(wrapped, DistributedDataParallel)
    assert wrapped.static_graph
    wrapped(torch.rand(2, 3, 4, 4)).sum().backward()
    assert all(p.grad is not None for p in wrapped.parameters())


def test_unknown_wrapper_error_has_its_name():
    with pytest.raises(KeyError, match='NoWrapper'):
        wrap_on_cpu(dict(type='NoWrapper'), model(), False)
