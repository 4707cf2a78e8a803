"""Runs whose state stops being finite: hooks that spoil it, and a model with two optimizers."""

import torch
from mmengine.hooks import EMAHook, Hook
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapperDict
from mmengine.registry import HOOKS, MODELS, OPTIM_WRAPPER_CONSTRUCTORS
from torch import distributed
from torch.distributed.optim import ZeroRedundancyOptimizer

from ..faults.training import NormedCounter

INF, NAN = float('inf'), float('nan')


def spoil_buffer(runner):
    _model(runner).norm.running_var[1] = NAN


def spoil_complex_buffer(runner):
    _model(runner).phases[0] = complex(0, INF)


def spoil_parameter(runner):
    _model(runner).head[1].bias.data[0] = NAN


def spoil_optimizer(runner):
    wrapper = runner.optim_wrapper
    optimizer = wrapper['head'].optimizer if 'head' in _names(wrapper) else wrapper.optimizer
    if isinstance(optimizer, ZeroRedundancyOptimizer):
        optimizer = optimizer.optim
    parameter = [each for each in optimizer.state if each.numel()][-1]
    optimizer.state[parameter]['exp_avg_sq'].view(-1)[0] = INF


def spoil_average(runner):
    hook = next(hook for hook in runner.hooks if isinstance(hook, EMAHook))
    hook.ema_model.module.head[1].bias.data[0] = INF


def spoil_rate(runner):
    runner.optim_wrapper.param_groups[-1]['lr'] = NAN


def spoil_schedule(runner):
    runner.param_schedulers[0]._last_value[0] = INF


def _model(runner):
    return getattr(runner.model, 'module', runner.model)


def _names(wrapper):
    return wrapper.keys() if isinstance(wrapper, OptimWrapperDict) else ()


@HOOKS.register_module()
class Spoil(Hook):
    """Makes a number of the run's state bad in a stage, after that many iterations, in a rank."""

    def __init__(self, what, stage, iteration, rank=0):
        self.spoil, self.iteration, self.rank = globals()[f'spoil_{what}'], iteration, rank
        setattr(self, stage, self._spoil)

    def _spoil(self, runner, **arguments):
        if runner.iter == self.iteration and runner.rank == self.rank:
            self.spoil(runner)


@HOOKS.register_module()
class SpoilGradient(Hook):
    """Makes a gradient of one rank infinite in an iteration; its loss and outputs are finite."""

    def __init__(self, name, iteration, rank):
        self.name, self.iteration, self.rank = name, iteration, rank

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter + 1 == self.iteration and runner.rank == self.rank:
            parameter = _model(runner).get_parameter(self.name)
            parameter.register_hook(lambda gradient: torch.full_like(gradient, INF))


@MODELS.register_module()
class ComplexCounter(NormedCounter):
    """With a buffer of complex numbers."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.register_buffer('phases', torch.ones(2, dtype=torch.complex64))


@MODELS.register_module()
class MixingCounter(NormedCounter):
    """Adds what all processes have to its images, as statistics of SyncBatchNorm mix them."""

    def forward(self, images, share, data_samples=None, mode='tensor'):
        mixed = self.norm(images).mean().detach()
        distributed.all_reduce(mixed)
        return super().forward(images + mixed, share, mode=mode)


@MODELS.register_module()
class TwoOptimizers(NormedCounter):
    """With an optimizer for the head, and one for all else."""

    def train_step(self, data, optim_wrapper):
        with optim_wrapper['head'].optim_context(self):
            losses = self._run_forward(self.data_preprocessor(data, True), mode='loss')
        loss, logged = self.parse_losses(losses)
        loss.backward()
        for wrapper in optim_wrapper.values():
            wrapper.step()
            wrapper.zero_grad()
        return logged


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class HeadAndRest:
    """Builds the optimizers of TwoOptimizers; biases have a group of their own."""

    def __init__(self, optim_wrapper_cfg, paramwise_cfg=None):
        self.build = DefaultOptimWrapperConstructor(optim_wrapper_cfg, dict(bias_lr_mult=2.0))

    def __call__(self, model):
        model = getattr(model, 'module', model)
        rest = torch.nn.ModuleList([model.backbone, model.norm])
        return OptimWrapperDict(head=self.build(model.head), rest=self.build(rest))
