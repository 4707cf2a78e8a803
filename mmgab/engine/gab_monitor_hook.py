"""A hook that records what becomes of the Gaussians in training."""

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from mmgab.registry import HOOKS

_AMPLITUDE, _SIGMA = '.gaussian.amplitude', '.gaussian.sigma'


@HOOKS.register_module()
class GABMonitorHook(Hook):
    """Write amplitude and sigma of every layer to the visualizer's backends, and a line to the log.

    The scalars are ``gab/LAYER/amplitude`` (as it is learned), ``gab/LAYER/A`` (its square, in
    logits) and ``gab/LAYER/sigma`` (in tokens of the layer's stage), followed by ``/head0`` and so
    on where heads have their own. TensorBoard, and any other backend of MMEngine, shows them:
    ``visualizer=dict(vis_backends=[dict(type='TensorboardVisBackend'), ...])``.

    Args:
        interval: Iterations from one record to the next; the first and the last are always there.
    """

    priority = 'BELOW_NORMAL'

    def __init__(self, interval: int = 50) -> None:
        if interval < 1:
            raise ValueError(f'GABMonitorHook: interval must be at least 1, got {interval}')
        self.interval = interval

    def before_train(self, runner: Runner) -> None:
        """Record what training starts from.

        Raises:
            ValueError: If the model has no Gaussian: there would be nothing to see.
        """
        if not gaussian_parameters(_unwrapped(runner.model)):
            raise ValueError(
                'GABMonitorHook: the model has no Gaussian; is its backbone mmgab.SwinGAB, and '
                'gab_cfg not None?'
            )
        self._record(runner, runner.iter)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Record every so many iterations."""
        done = runner.iter + 1
        if done % self.interval == 0 or done == runner.max_iters:
            self._record(runner, done)

    def _record(self, runner: Runner, step: int) -> None:
        parameters = gaussian_parameters(_unwrapped(runner.model))
        scalars = gaussian_scalars(parameters)
        runner.visualizer.add_scalars(scalars, step=step)
        heights = [value for name, value in scalars.items() if '/A' in name]
        sigmas = [value for name, value in scalars.items() if '/sigma' in name]
        runner.logger.info(
            f'Gaussians after {step} iterations: A {min(heights):.3f} to {max(heights):.3f} '
            f'logits, sigma {min(sigmas):.2f} to {max(sigmas):.2f} tokens'
        )


def gaussian_parameters(model: nn.Module) -> dict[str, Tensor]:
    """Amplitudes and sigmas of a model, by name."""
    return {
        name: parameter.detach()
        for name, parameter in model.named_parameters()
        if name.endswith((_AMPLITUDE, _SIGMA))
    }


def gaussian_scalars(parameters: dict[str, Tensor]) -> dict[str, float]:
    """Plain numbers of them, see :class:`GABMonitorHook`."""
    # One copy from the device, not one a parameter: each would wait for the step to end.
    values = iter(torch.cat([parameter.flatten() for parameter in parameters.values()]).tolist())
    scalars = {}
    for name, parameter in parameters.items():
        layer = name.rpartition('.gaussian.')[0].removesuffix('.attn.w_msa')
        kind = name.rpartition('.')[2]
        for head in range(len(parameter)):
            value, suffix = next(values), f'/head{head}' if len(parameter) > 1 else ''
            scalars[f'gab/{layer}/{kind}{suffix}'] = value
            if kind == 'amplitude':
                scalars[f'gab/{layer}/A{suffix}'] = value**2
    return scalars


def _unwrapped(model: nn.Module) -> nn.Module:
    return model.module if is_model_wrapper(model) else model
