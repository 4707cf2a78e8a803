"""The part of a prediction that was asked for: instances above a score, some of the classes."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from .predictor import Prediction

NO_LABEL = 255


@dataclass(frozen=True)
class Selection:
    """Instances above a score, and some of the classes.

    Attributes:
        score: Lowest score of instances that are kept; None keeps all.
        labels: Labels of the classes that are kept; None keeps all.
        number: How many classes the model has.
    """

    score: float | None
    labels: Sequence[int] | None
    number: int

    def apply_(self, prediction: Prediction) -> None:
        """Drop what was not asked for, in place.

        Pixels of other classes get the largest value of their label map, 255 or 65535.
        """
        sample = prediction.sample
        if 'pred_instances' in sample:
            instances = sample.pred_instances
            keep = torch.ones_like(instances.labels, dtype=torch.bool)
            if self.score is not None:
                keep &= instances.scores >= self.score
            if self.labels is not None:
                keep &= torch.isin(instances.labels, torch.tensor(self.labels))
            sample.pred_instances = instances[keep]
        elif self.labels is not None:
            found = sample.pred_sem_seg.data
            dropped = ~torch.isin(found, torch.tensor(self.labels))
            no_label = NO_LABEL if self.number <= NO_LABEL else 2**16 - 1
            sample.pred_sem_seg.data = found.masked_fill(dropped, no_label)


def labels_of(names: Sequence[str] | None, classes: Sequence[str]) -> list[int] | None:
    """Return the labels of class names; None for None.

    Raises:
        ValueError: If the model has no class of that name.
    """
    for name in names or ():
        if name not in classes:
            shown = ', '.join(classes[:20]) + (', ...' if len(classes) > 20 else '')
            raise ValueError(f'--classes {name}: the model has no such class; it has {shown}')
    return None if names is None else [list(classes).index(name) for name in names]
