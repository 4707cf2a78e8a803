"""Results table of the study: one row per run, written atomically."""

import csv
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from mmgab.atomic_file import replacing


@dataclass(frozen=True)
class Result:
    """Result of a run.

    Attributes:
        task: Name of the task.
        arm: Name of the arm.
        seed: Random seed.
        score: Final value of the task's first metric, in percent.
        second: Final value of the task's second metric, in percent.
        curve: First metric by iteration.
        learned: Learned parameters of the methods, averaged for each layer.
        config: Hash of the config.
        seconds: CPU time of training and validation.
        finished: Time of the end, in UTC.
    """

    task: str
    arm: str
    seed: int
    score: float
    second: float
    curve: dict[int, float]
    learned: dict[str, list[float]]
    config: str
    seconds: float
    finished: str

    @property
    def run(self) -> str:
        """Name of the run, as in the grid."""
        return f'{self.task}/{self.arm}/{self.seed}'

    def row(self) -> dict[str, str | int]:
        """Return the row of the table."""
        curve = ' '.join(f'{iteration}:{score:.3f}' for iteration, score in self.curve.items())
        learned = ' '.join(
            f'{kind}={"/".join(f"{value:.4g}" for value in values)}'
            for kind, values in self.learned.items()
        )
        numbers = dict(
            score=f'{self.score:.3f}', second=f'{self.second:.3f}', seconds=f'{self.seconds:.1f}'
        )
        return {**asdict(self), **numbers, 'curve': curve, 'learned': learned}

    @classmethod
    def from_row(cls, row: dict[str, str]) -> 'Result':
        """Parse a row of the table.

        Raises:
            ValueError: If a column is missing or not a number.
        """
        try:
            points = (point.split(':') for point in row['curve'].split())
            kinds = (kind.split('=') for kind in row['learned'].split())
            return cls(
                task=row['task'],
                arm=row['arm'],
                seed=int(row['seed']),
                score=float(row['score']),
                second=float(row['second']),
                curve={int(iteration): float(score) for iteration, score in points},
                learned={kind: [float(v) for v in values.split('/')] for kind, values in kinds},
                config=row['config'],
                seconds=float(row['seconds']),
                finished=row['finished'],
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f'invalid row of results {row}: {error!r}') from error


def read_results(path: Path) -> list[Result]:
    """Read a table; a missing file gives an empty list.

    Raises:
        ValueError: If a row is invalid.
    """
    if not path.exists():
        return []
    with path.open(newline='') as file:
        return [Result.from_row(row) for row in csv.DictReader(file)]


def write_results(path: Path, results: list[Result]) -> None:
    """Write a table atomically, sorted by the names of the runs."""
    with replacing(path) as temporary, temporary.open('w', newline='') as file:
        columns = [field.name for field in fields(Result)]
        writer = csv.DictWriter(file, columns, lineterminator='\n')
        writer.writeheader()
        writer.writerows(result.row() for result in sorted(results, key=lambda r: r.run))
