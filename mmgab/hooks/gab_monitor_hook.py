"""A hook that records what becomes of the Gaussians in training."""

from collections.abc import Mapping
from contextlib import ExitStack

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.visualization import TensorboardVisBackend
from torch import Tensor

from mmgab.analysis.attention_maps import (
    AttentionStatistics,
    has_window_attention,
    watch_attention,
)
from mmgab.registry import HOOKS
from mmgab.reliability.numerics_diagnosis import gaussian_parameters
from mmgab.reliability.wrapped_model import unwrapped


@HOOKS.register_module()
class GABMonitorHook(Hook):
    """Write amplitude and sigma of every layer to the visualizer's backends, and a line to the log.

    The scalars are ``gab/LAYER/amplitude`` (as it is learned), ``gab/LAYER/A`` (its square, in
    logits) and ``gab/LAYER/sigma`` (in tokens of the layer's stage), followed by ``/head0`` and so
    on where heads have their own. ``gab/LAYER/share`` is the bias' part of the scores, ``|bias| /
    (|bias| + |content|)``, in the iteration's first image; it is there after the first iterations,
    and TensorBoard gets its histogram as well. TensorBoard, and any other backend of MMEngine,
    shows them: ``visualizer=dict(vis_backends=[dict(type='TensorboardVisBackend'), ...])``. Windows
    without Gaussians have shares alone, attention over a whole image Gaussians alone.

    Args:
        interval: Iterations from one record to the next; the first and the last are always there.

    Raises:
        ValueError: If the interval is not positive.
    """

    priority = 'BELOW_NORMAL'

    def __init__(self, interval: int = 50) -> None:
        if interval < 1:
            raise ValueError(f'GABMonitorHook: interval must be at least 1, got {interval}')
        self.interval = interval
        self._watch = ExitStack()
        self._attention: Mapping[str, AttentionStatistics] = {}

    def before_train(self, runner: Runner) -> None:
        """Record what training starts from.

        Raises:
            ValueError: If the model has no mmgab attention to monitor.
        """
        model = unwrapped(runner.model)
        self._has_windows = has_window_attention(model)
        if not self._has_windows and not any(hasattr(m, 'gaussian') for m in model.modules()):
            raise ValueError(f'GABMonitorHook: {type(model).__name__} has no attention of mmgab')
        self._record(runner, runner.iter)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Look on where the iteration will be recorded."""
        if self._has_windows and self._is_due(runner) and is_main_process():
            watch = watch_attention(unwrapped(runner.model), images=1)
            self._attention = self._watch.enter_context(watch)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Record every so many iterations."""
        if self._is_due(runner):
            self._watch.close()
            self._record(runner, runner.iter + 1)
            if is_main_process():
                self._record_shares(runner)

    def _is_due(self, runner: Runner) -> bool:
        done = runner.iter + 1
        return done % self.interval == 0 or done == runner.max_iters

    def _record(self, runner: Runner, step: int) -> None:
        parameters = gaussian_parameters(unwrapped(runner.model))
        if not parameters:
            return
        scalars = gaussian_scalars(parameters)
        runner.visualizer.add_scalars(scalars, step=step)
        heights = [value for name, value in scalars.items() if '/A' in name]
        sigmas = [value for name, value in scalars.items() if '/sigma' in name]
        runner.logger.info(
            f'Gaussians after {step} iterations: A {min(heights):.3f} to {max(heights):.3f} '
            f'logits, sigma {min(sigmas):.2f} to {max(sigmas):.2f} tokens'
        )

    def _record_shares(self, runner: Runner) -> None:
        # An image smaller than a window leaves nothing to look at.
        seen = {
            f'gab/{_layer(name)}/share': statistics
            for name, statistics in self._attention.items()
            if statistics.shares.any()
        }
        if not seen:
            return
        step = runner.iter + 1
        scalars = {tag: statistics.mean_share for tag, statistics in seen.items()}
        runner.visualizer.add_scalars(scalars, step=step)
        for backend in runner.visualizer._vis_backends.values():
            if isinstance(backend, TensorboardVisBackend):
                for tag, statistics in seen.items():
                    _add_histogram(backend, tag, statistics, step)


def _add_histogram(
    backend: TensorboardVisBackend, tag: str, statistics: AttentionStatistics, step: int
) -> None:
    """Write the counts as they are: TensorBoard would count single values again."""
    counts = statistics.shares.double()
    limits = torch.linspace(0, 1, len(counts) + 1, dtype=counts.dtype)
    middles = (limits[1:] + limits[:-1]) / 2
    backend.experiment.add_histogram_raw(
        tag,
        min=0.0,
        max=1.0,
        num=counts.sum().item(),
        sum=statistics.share_sum,
        sum_squares=(counts @ middles**2).item(),
        bucket_limits=limits[1:].tolist(),
        bucket_counts=counts.tolist(),
        global_step=step,
    )


def gaussian_scalars(parameters: dict[str, Tensor]) -> dict[str, float]:
    """Plain numbers of them, see :class:`GABMonitorHook`."""
    # One copy from the device, not one a parameter: each would wait for the step to end.
    values = iter(torch.cat([parameter.flatten() for parameter in parameters.values()]).tolist())
    scalars = {}
    for name, parameter in parameters.items():
        layer, kind = _layer(name.rpartition('.gaussian.')[0]), name.rpartition('.')[2]
        for head in range(len(parameter)):
            value, suffix = next(values), f'/head{head}' if len(parameter) > 1 else ''
            scalars[f'gab/{layer}/{kind}{suffix}'] = value
            if kind == 'amplitude':
                scalars[f'gab/{layer}/A{suffix}'] = value**2
    return scalars


def _layer(attention: str) -> str:
    """Name of a block, from that of its attention."""
    return attention.removesuffix('.w_msa').removesuffix('.attn')
