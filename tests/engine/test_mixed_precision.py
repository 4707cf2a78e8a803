"""--amp and AmpOptimWrapper in configs of every form."""

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import AmpOptimWrapper, OptimWrapper, build_optim_wrapper
from torch import nn

from mmgab.engine.mixed_precision import enable_mixed_precision, leave_out_mixed_precision

SGD = dict(type='SGD', lr=0.1)


class OwnAmp(AmpOptimWrapper):
    def __init__(self, extra=None, **settings):
        super().__init__(**settings)


class OwnWrapper(OptimWrapper):
    pass


def config_of(**optim_wrapper):
    return Config(dict(optim_wrapper=optim_wrapper))


@pytest.mark.parametrize('type_', [None, 'OptimWrapper', OptimWrapper, 'mmengine.OptimWrapper'])
def test_amp_is_enabled_for_optim_wrappers(type_):
    config = config_of(optimizer=SGD, **({} if type_ is None else dict(type=type_)))
    enable_mixed_precision(config)
    assert config.optim_wrapper.type == 'AmpOptimWrapper'
    assert config.optim_wrapper.loss_scale == 'dynamic'


@pytest.mark.parametrize('type_', ['AmpOptimWrapper', AmpOptimWrapper, OwnAmp])
def test_amp_of_the_config_keeps_its_settings(type_):
    config = config_of(type=type_, optimizer=SGD, dtype='bfloat16', loss_scale=8.0)
    before = config.optim_wrapper.to_dict()
    enable_mixed_precision(config)
    assert config.optim_wrapper.to_dict() == before


def test_amp_rejects_a_custom_optim_wrapper():
    with pytest.raises(ValueError, match='--amp cannot replace the optim_wrapper type OwnWrapper'):
        enable_mixed_precision(config_of(type=OwnWrapper, optimizer=SGD))
    with pytest.raises(ValueError, match='--amp needs an optim_wrapper'):
        enable_mixed_precision(Config(dict()))


@pytest.mark.parametrize('type_', ['AmpOptimWrapper', AmpOptimWrapper, OwnAmp])
@pytest.mark.parametrize('dtype', ['bfloat16', torch.bfloat16])
def test_amp_is_removed_without_an_accelerator(type_, dtype, monkeypatch):
    monkeypatch.setattr('mmgab.engine.mixed_precision.get_device', lambda: 'cpu')
    config = config_of(
        type=type_, optimizer=SGD, dtype=dtype, loss_scale='dynamic', use_fsdp=False, extra=1,
        clip_grad=dict(max_norm=3), accumulative_counts=2, paramwise_cfg=dict(bias_lr_mult=2.0),
        constructor='DefaultOptimWrapperConstructor',
    )  # fmt: skip
    if type_ is not OwnAmp:
        config.optim_wrapper.pop('extra')
    assert leave_out_mixed_precision(config)
    wrapper = build_optim_wrapper(nn.Linear(2, 2), config.optim_wrapper)
    assert type(wrapper) is OptimWrapper
    assert wrapper._accumulative_counts == 2
    assert wrapper.clip_grad_kwargs == dict(max_norm=3)
    assert {group['lr'] for group in wrapper.optimizer.param_groups} == {0.1, 0.2}


def test_amp_changes_each_of_several_wrappers(monkeypatch):
    config = config_of(
        constructor='Own', generator=dict(type=OptimWrapper, optimizer=SGD),
        critic=dict(type=AmpOptimWrapper, optimizer=SGD, loss_scale=4.0), steps=3,
    )  # fmt: skip
    enable_mixed_precision(config)
    assert config.optim_wrapper.generator.type == 'AmpOptimWrapper'
    assert config.optim_wrapper.critic.loss_scale == 4.0
    monkeypatch.setattr('mmgab.engine.mixed_precision.get_device', lambda: 'cpu')
    assert leave_out_mixed_precision(config)
    for name in ('generator', 'critic'):
        assert config.optim_wrapper[name] == dict(type='OptimWrapper', optimizer=SGD)
    assert config.optim_wrapper.steps == 3


def test_settings_are_unchanged_on_a_gpu_or_without_amp(monkeypatch):
    plain = config_of(type=OptimWrapper, optimizer=SGD)
    assert not leave_out_mixed_precision(plain)
    monkeypatch.setattr('mmgab.engine.mixed_precision.get_device', lambda: 'cuda')
    amp = config_of(type=AmpOptimWrapper, optimizer=SGD, dtype='float16')
    assert not leave_out_mixed_precision(amp)
    assert amp.optim_wrapper.type is AmpOptimWrapper
