"""A hook that stops a run whose labels and number of classes disagree, and names the image."""

from collections.abc import Iterator, Sequence

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, nn

from mmgab.registry import HOOKS
from mmgab.reliability.wrapped_model import unwrapped

# Heads that predict the dataset's classes; a region proposal head has one class of its own.
_CLASS_HEADS = ('bbox_head', 'mask_head', 'decode_head', 'auxiliary_head')


@HOOKS.register_module()
class LabelRangeHook(Hook):
    """Compare labels and heads with the dataset's classes.

    Without it a label out of range is a CUDA assertion long after the cause, or, in
    MMSegmentation's metric, silently left out. Costs one maximum and one minimum of each label map.

    Args:
        ignore_index: The label that stands for no label.
    """

    priority = 'VERY_HIGH'

    def __init__(self, ignore_index: int = 255) -> None:
        self.ignore_index = ignore_index

    def before_train(self, runner: Runner) -> None:
        """Check that the heads have as many classes as the training set.

        Raises:
            ValueError: If one has not; the message names it and both numbers.
        """
        num_classes = len(_classes(runner.train_dataloader.dataset))
        model = unwrapped(runner.model)
        for name, head in _class_heads(model):
            if num_classes and head.num_classes != num_classes:
                raise ValueError(
                    f'model.{name}.num_classes is {head.num_classes}, but the training set has '
                    f'{num_classes} classes: set num_classes={num_classes}'
                )

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Check a training batch's labels.

        Raises:
            ValueError: If one is out of range; the message names the image.
        """
        self._check(runner.train_dataloader.dataset, data_batch)

    def before_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Check a validation batch's labels, see :meth:`before_train_iter`."""
        self._check(runner.val_dataloader.dataset, data_batch)

    def before_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Check a test batch's labels, see :meth:`before_train_iter`."""
        self._check(runner.test_dataloader.dataset, data_batch)

    def _check(self, dataset: object, data_batch: dict | None) -> None:
        num_classes = len(_classes(dataset))
        samples = (data_batch or {}).get('data_samples') or []
        if not num_classes or not isinstance(samples, Sequence):
            return
        for sample in samples:
            for labels in _label_tensors(sample):
                labels = labels[labels != self.ignore_index]
                if labels.numel() and (labels.min() < 0 or labels.max() >= num_classes):
                    raise ValueError(
                        f'{sample.get("img_path", "an image")} has labels from {labels.min()} to '
                        f'{labels.max()}, but the dataset has {num_classes} classes: labels must '
                        f'be 0 to {num_classes - 1}, or {self.ignore_index} for none'
                    )


def _classes(dataset: object) -> Sequence:
    return (getattr(dataset, 'metainfo', None) or {}).get('classes') or ()


def _class_heads(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, module in model.named_modules():
        parts = [part for part in name.split('.') if not part.isdigit()]
        if parts and parts[-1] in _CLASS_HEADS and hasattr(module, 'num_classes'):
            yield name, module


def _label_tensors(sample: object) -> Iterator[Tensor]:
    """Labels of an MMSegmentation or MMDetection data sample, whichever it has."""
    if 'gt_sem_seg' in sample:
        yield sample.gt_sem_seg.data
    if 'gt_instances' in sample and 'labels' in sample.gt_instances:
        yield sample.gt_instances.labels
