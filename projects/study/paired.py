"""Paired differences to the baseline over seeds, with confidence intervals and verdicts."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median

import numpy as np
from scipy.stats import bootstrap, ttest_1samp

from .results_table import Result

BASELINE = 'none'
ENOUGH = 5  # seeds for a verdict
_SAMPLES = 9999
_SHARE = 0.95
BETTER, WORSE, UNSEEN = 'better', 'worse', 'no effect seen'
TOO_FEW = 'too few seeds'
Interval = tuple[float, float]


@dataclass(frozen=True)
class Comparison:
    """Comparison of an arm with the baseline, on the seeds that both were trained with.

    Attributes:
        arm: Name of the arm.
        seeds: Seeds of both.
        scores: Scores of the arm for each seed.
        second: Mean of the task's second metric.
        differences: Differences to the baseline with the same seed.
        bootstrap: 95 % bootstrap interval of the mean difference; None for the baseline or fewer
            than two seeds.
        student: 95 % interval by Student's t, which has the right coverage for few normal values.
        cost: CPU time relative to the baseline, median over seeds.
    """

    arm: str
    seeds: list[int]
    scores: list[float]
    second: float
    differences: list[float]
    bootstrap: Interval | None
    student: Interval | None
    cost: float

    @property
    def difference(self) -> float:
        """Mean difference to the baseline."""
        return mean(self.differences)

    @property
    def verdict(self) -> str:
        """Verdict: better or worse if neither interval contains 0."""
        if self.arm == BASELINE:
            return ''
        if len(self.differences) < ENOUGH:
            return TOO_FEW
        lows, highs = zip(self.bootstrap, self.student, strict=True)
        return BETTER if min(lows) > 0 else WORSE if max(highs) < 0 else UNSEEN


def bootstrap_interval(values: Sequence[float]) -> Interval | None:
    """Return the 95 % percentile bootstrap interval of a mean; None for fewer than two values.

    With few values it is too narrow: for five normal values its coverage is 84 %.
    """
    if len(values) < 2:
        return None
    found = bootstrap(
        (np.array(values),),
        np.mean,
        n_resamples=_SAMPLES,
        confidence_level=_SHARE,
        method='percentile',
        random_state=0,
    )
    return _floats(found.confidence_interval)


def student_interval(values: Sequence[float]) -> Interval | None:
    """Return the 95 % interval of a mean by Student's t; None for fewer than two values."""
    if len(values) < 2:
        return None
    return _floats(ttest_1samp(values, 0).confidence_interval(_SHARE))


def _floats(interval: tuple[np.float64, np.float64]) -> Interval:
    low, high = interval
    return float(low), float(high)


def compare(results: Sequence[Result], task: str, arms: Sequence[str]) -> list[Comparison]:
    """Compare the arms of a task with its baseline; arms without results are skipped.

    Args:
        results: All results.
        task: Name of the task.
        arms: Names of the arms; the baseline is the first.
    """
    by_arm = {arm: {r.seed: r for r in results if r.task == task and r.arm == arm} for arm in arms}
    plain = by_arm[BASELINE]
    rows = []
    for arm, runs in by_arm.items():
        seeds = sorted(set(runs) & set(plain))
        if not seeds:
            continue
        differences = [runs[seed].score - plain[seed].score for seed in seeds]
        rows.append(
            Comparison(
                arm,
                seeds,
                [runs[seed].score for seed in seeds],
                mean(runs[seed].second for seed in seeds),
                differences,
                None if arm == BASELINE else bootstrap_interval(differences),
                None if arm == BASELINE else student_interval(differences),
                median(runs[seed].seconds / plain[seed].seconds for seed in seeds),
            )
        )
    return rows
