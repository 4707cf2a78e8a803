"""A hook that stops a run whose labels and number of classes disagree, and names the image."""

from collections.abc import Iterator, Sequence

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from mmgab.datasets.built_datasets import class_names, leaves
from mmgab.registry import HOOKS
from mmgab.reliability.wrapped_model import unwrapped

# Heads that predict the dataset's classes; a region proposal head has one class of its own.
_INSTANCE_HEADS = ('bbox_head', 'mask_head')
_PANOPTIC_HEADS = ('panoptic_head', 'panoptic_fusion_head', 'semantic_head')
_CLASS_HEADS = (*_INSTANCE_HEADS, 'decode_head', 'auxiliary_head')


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

        Of a panoptic data set, heads for instances may have the things alone.

        Raises:
            ValueError: If one has not; the message names it and both numbers.
        """
        parts = list(leaves(runner.train_dataloader.dataset))
        numbers = {len(class_names(part)) for part in parts} - {0}
        is_open = any(getattr(part, 'return_classes', False) for part in parts)
        if not numbers or is_open:  # an open vocabulary: heads compare with the words of classes
            return
        model = unwrapped(runner.model)
        things = {len(class_names(part, 'thing_classes')) for part in parts} - {0}
        for name, number, stuff in _panoptic_heads(model):
            things.add(number)
            _compare(
                f'{name} predicts {number} things and {stuff} stuff', number + stuff, numbers, set()
            )
        for name, kind, number in _class_heads(model):
            allowed = things if kind in _INSTANCE_HEADS else set()
            _compare(f'{name}.num_classes is {number}', number, numbers, allowed)

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
        num_classes = max(len(class_names(part)) for part in leaves(dataset))
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


def _compare(head: str, number: int, classes: set[int], things: set[int]) -> None:
    """Compare what a head predicts with the numbers of classes, or of things, of the data."""
    if number not in classes | things:
        counts = f'{_either(classes)} classes'
        counts += f', {_either(things)} of them things' if things else ''
        raise ValueError(f'model.{head}, but the training set has {counts}: the two must be equal')


def _either(numbers: set[int]) -> str:
    return ' or '.join(map(str, sorted(numbers)))


def _panoptic_heads(model: nn.Module) -> Iterator[tuple[str, int, int]]:
    """Name, number of things and of stuff of each head that has both."""
    for name, _, head, things in _heads(model, _PANOPTIC_HEADS, 'num_things_classes'):
        yield name, things, getattr(head, 'num_stuff_classes', 0)


def _class_heads(model: nn.Module) -> Iterator[tuple[str, str, int]]:
    """Name, kind and number of classes of each head whose classes are the dataset's."""
    for name, kind, head, number in _heads(model, _CLASS_HEADS, 'num_classes'):
        if not _is_agnostic(head):
            yield name, kind, number


def _heads(
    model: nn.Module, kinds: Sequence[str], attribute: str
) -> Iterator[tuple[str, str, nn.Module, int]]:
    for name, module in model.named_modules():
        parts = [part for part in name.split('.') if not part.isdigit()]
        if parts and parts[-1] in kinds and hasattr(module, attribute):
            yield name, parts[-1], module, getattr(module, attribute)


def _is_agnostic(head: nn.Module) -> bool:
    """Return whether a head's classes are its own: one mask for any class, or STDC's edges."""
    return getattr(head, 'class_agnostic', False) or hasattr(head, 'boundary_threshold')


def _label_tensors(sample: BaseDataElement) -> Iterator[Tensor]:
    """Labels of an MMSegmentation or MMDetection data sample, whichever it has."""
    if 'gt_sem_seg' in sample:
        yield sample.gt_sem_seg.data
    if 'gt_instances' in sample and 'labels' in sample.gt_instances:
        yield sample.gt_instances.labels
