"""Train one run of the study and return its result."""

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
    """Records the scores of every validation."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.scores: list[tuple[int, float, float]] = []

    def after_val_epoch(self, runner: CheckedRunner, metrics: dict[str, float]) -> None:
        """Record both metrics of the task in percent.

        Raises:
            ValueError: If a metric is not finite.
        """
        # Without any detection, MMDetection's metric returns an empty dict.
        found = metrics or dict.fromkeys(self.task.metrics, 0.0)
        values = [float(found[name]) * self.task.scale for name in self.task.metrics]
        if not all(map(math.isfinite, values)):
            raise ValueError(
                f'{runner.experiment_name}: scores {values} are not finite at iteration '
                f'{runner.iter}'
            )
        self.scores.append((runner.iter, *values))


def learned(model: nn.Module) -> dict[str, list[float]]:
    """Return the learned parameters of the methods: a mean for each layer, by kind."""
    found: dict[str, list[float]] = {}
    for name, parameter in model.named_parameters():
        for method in METHODS:
            for kind, how in method.learned.items():
                if method.has(name) and name.endswith(f'.{how.tensor}'):
                    value = how.meaning(parameter.detach()).mean().item()
                    found.setdefault(kind, []).append(value)
    return found


def train(run: Run, folder: Path) -> Result:
    """Train and validate a run with its config; logs are written to ``folder``."""
    config = run.config
    digest = config_hash(config)
    config.work_dir = str(folder / run.name)
    config.log_level = 'ERROR'
    config.experiment_name = run.name.replace('/', '_')
    runner = CheckedRunner.from_cfg(config)
    # CPU time of this single-threaded process, which hardly depends on other load. Started after
    # the imports for the first model.
    start = time.process_time()
    scores = ScoreHook(run.task)
    runner.register_hook(scores)
    with redirect_stdout(io.StringIO()):  # validation tables, which are also in the logs
        runner.train()
    iteration, score, second = scores.scores[-1]
    if iteration != runner.max_iters:
        raise ValueError(
            f'{run.name}: the last validation was at iteration {iteration}, it must be at '
            f'{runner.max_iters}'
        )
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
