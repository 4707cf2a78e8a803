"""Measure the overhead of NumericsGuardHook in a training step.

The hook is enabled in every other iteration of a real training. Prints the median time of a step
without and with the hook; data loading is excluded.

Examples:
    python -m projects.benchmark.guard                       # Mask R-CNN on nuclei
    python -m projects.benchmark.guard CONFIG --iterations 400
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from mmengine.runner import Runner
from torch.optim import Optimizer

from mmgab.engine import CheckedRunner, check_data, load_config
from mmgab.hooks import NumericsGuardHook

CONFIG = Path(__file__).resolve().parents[2] / 'configs' / 'mask_rcnn_swin_gab_nuclei.py'
WARM_UP = 10  # iterations


class EveryOtherIteration(NumericsGuardHook):
    """NumericsGuardHook that is disabled in even iterations, and records the time of steps."""

    def __init__(self) -> None:
        super().__init__(max_skips=1)
        self.seconds: tuple[list[float], list[float]] = ([], [])

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Start the timer of a step."""
        self.is_on, self.begun = bool(runner.iter % 2), time.perf_counter()
        if self.is_on:
            super().before_train_iter(runner, batch_idx, data_batch)

    def _look_at_gradients(self, optimizer: Optimizer, args: tuple, kwargs: dict) -> None:
        if self.is_on:
            super()._look_at_gradients(optimizer, args, kwargs)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Stop the timer of a step."""
        if self.is_on:
            super().after_train_iter(runner, batch_idx, data_batch, outputs)
        if runner.iter >= WARM_UP:
            self.seconds[self.is_on].append(time.perf_counter() - self.begun)


def main() -> None:
    """Train and print the median times."""
    parser = argparse.ArgumentParser(
        prog='python -m projects.benchmark.guard',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'config', nargs='?', default=str(CONFIG), help='default: Mask R-CNN on nuclei'
    )
    parser.add_argument('--iterations', type=int, default=200, help='default: 200')
    args = parser.parse_args()
    if args.iterations <= WARM_UP + 1:
        parser.error(f'--iterations must be above {WARM_UP + 1}, got {args.iterations}')
    config = load_config(args.config)
    check_data(config, ('train_dataloader',))
    config.train_cfg = dict(type='IterBasedTrainLoop', max_iters=args.iterations)
    for part in ('dataloader', 'cfg', 'evaluator'):
        config[f'val_{part}'] = config[f'test_{part}'] = None
    config.param_scheduler = None
    config.default_hooks.checkpoint = None
    config.log_processor = dict(by_epoch=False)
    config.custom_hooks = []
    hook = EveryOtherIteration()
    with tempfile.TemporaryDirectory() as work_dir:
        config.work_dir = work_dir
        runner = CheckedRunner.from_cfg(config)
        runner.register_hook(hook)
        runner.train()
    off, on = map(statistics.median, hook.seconds)
    print(
        f'Median step: {off * 1e3:.1f} ms without the hook, {on * 1e3:.1f} ms with it, ratio '
        f'{on / off:.4f}'
    )


if __name__ == '__main__':
    main()
