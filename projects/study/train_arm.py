"""One run of the study, from its config to its line of results."""

import io
import logging
import math
import time
from contextlib import redirect_stdout
from datetime import datetime, timezone
from pathlib import Path

from mmengine.hooks import Hook
from torch import nn

from mmgab.engine import CheckedRunner
from mmgab.layers.methods import METHODS

from .grid import Run, Task, config_hash
from .results_table import Result


class ScoreHook(Hook):
    """Keeps the scores of every validation."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.scores: list[tuple[int, float, float]] = []

    def after_val_epoch(self, runner: CheckedRunner, metrics: dict[str, float]) -> None:
        """Keep both metrics of the task, per cent.

        Raises:
            ValueError: If one is not finite.
        """
        # Where nothing at all is detected, MMDetection's metric has no numbers.
        found = metrics or dict.fromkeys(self.task.metrics, 0.0)
        values = [float(found[name]) * self.task.scale for name in self.task.metrics]
        if not all(map(math.isfinite, values)):
            raise ValueError(f'{runner.experiment_name}: scores {values} after {runner.iter}')
        self.scores.append((runner.iter, *values))


def learned(model: nn.Module) -> dict[str, list[float]]:
    """What the methods have learned: of each kind, the mean of every layer, first to last."""
    found: dict[str, list[float]] = {}
    for name, parameter in model.named_parameters():
        for method in METHODS:
            for kind, how in method.learned.items():
                if method.has(name) and name.endswith(f'.{how.tensor}'):
                    value = how.meaning(parameter.detach()).mean().item()
                    found.setdefault(kind, []).append(value)
    return found


def train(run: Run, folder: Path) -> Result:
    """Train a run and evaluate it as its config says; logs go below ``folder``."""
    config = run.config
    digest = config_hash(config)
    config.work_dir = str(folder / run.name)
    config.log_level = 'ERROR'
    config.experiment_name = run.name.replace('/', '_')
    runner = CheckedRunner.from_cfg(config)
    # Of the process alone, which has one thread: other work on the machine counts little. Without
    # what is imported when the first model is built.
    start = time.process_time()
    scores = ScoreHook(run.task)
    runner.register_hook(scores)
    with redirect_stdout(io.StringIO()):  # the tables of every validation; the logs have them
        runner.train()
    iteration, score, second = scores.scores[-1]
    if iteration != runner.max_iters:
        raise ValueError(f'{run.name}: the last score is of iteration {iteration}, not of the end')
    logging.shutdown()
    return Result(
        task=run.task.name,
        arm=run.arm,
        seed=run.seed,
        score=score,
        second=second,
        curve={iteration: score for iteration, score, _ in scores.scores},
        learned=learned(runner.model),
        config=digest,
        seconds=time.process_time() - start,
        finished=datetime.now(timezone.utc).strftime('%Y-%m-%d %H:%M'),
    )
