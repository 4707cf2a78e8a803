"""Convert ground truth to the predictions of a perfect model: label maps, boxes and masks."""

from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from mmengine.dataset import BaseDataset, ConcatDataset
from pycocotools import mask as coco_masks
from torch import Tensor

from mmgab.datasets.built_datasets import class_names, leaves
from mmgab.datasets.category_labels import label_names

_LABELS = 256


def names_of_labels(dataset: object) -> Sequence[str]:
    """Return the class of each label of a built dataset, as its files number them."""
    return label_names(dataset) or class_names(dataset)


class Truth:
    """Predictions of a perfect model, made from the ground truth.

    Args:
        dataset: Built dataset to predict; may be a wrapper.
        learned: Class of each label in training; None without a training set.

    Attributes:
        instances: Number of predicted instances so far, per image and label.
        labels: Labels of the label maps so far.
    """

    def __init__(self, dataset: BaseDataset | ConcatDataset, learned: Sequence[str] | None) -> None:
        self.dataset = dataset
        self.instances: Counter[tuple[int, int]] = Counter()
        self.labels: set[int] = set()
        self._translated = {
            id(leaf): _translation(names_of_labels(leaf), learned) for leaf in leaves(dataset)
        }

    def sample(self, index: int) -> dict:
        """Return a sample of the dataset's pipeline in the form that evaluators receive."""
        packed = self.dataset[index]
        if 'data_samples' in packed:
            return packed['data_samples'].to_dict()
        return {**packed, 'ori_shape': (packed.get('height'), packed.get('width'))}

    def semantic(self, index: int, sample: Mapping) -> dict:
        """Return a sample with its label map as the prediction.

        Raises:
            ValueError: If the pipeline does not load the label map, or in another size than the
                original image, the size of predictions.
        """
        if 'gt_sem_seg' not in sample:
            raise ValueError('the pipeline does not output gt_sem_seg; add LoadAnnotations')
        labels = sample['gt_sem_seg']['data']
        size, original = tuple(labels.shape[-2:]), tuple(sample['ori_shape'][:2])
        if size != original:
            raise ValueError(
                f'{sample.get("img_path")}: the label map has shape {size}, predictions have the '
                f'original shape {original}; move LoadAnnotations behind Resize'
            )
        # A model also predicts a class for unlabelled pixels.
        table = torch.zeros(_LABELS, dtype=torch.long)
        translated = self._of(index)
        table[: len(translated)] = torch.tensor(translated).clamp(min=0)
        self.labels.update(labels.unique().tolist())
        return {**sample, 'pred_sem_seg': dict(data=table[labels.long()])}

    def detected(self, index: int, sample: Mapping, has_masks: bool) -> dict:
        """Return a sample with its instances as detections, without crowds."""
        info, translated = self.dataset.get_data_info(index), self._of(index)
        found = [
            (each, translated[each['bbox_label']])
            for each in info['instances']
            if not each.get('ignore_flag') and translated[each['bbox_label']] >= 0
        ]
        self.instances.update((index, label) for _, label in found)
        boxes = torch.tensor([each['bbox'] for each, _ in found], dtype=torch.float64)
        predicted: dict[str, Tensor | list[dict]] = dict(
            bboxes=boxes.reshape(-1, 4),
            labels=torch.tensor([label for _, label in found], dtype=torch.long),
            scores=torch.ones(len(found)),
        )
        if has_masks:
            size = info['height'], info['width']
            predicted['masks'] = [_run_lengths(each.get('mask'), *size) for each, _ in found]
        return {**sample, 'pred_instances': predicted}

    def _of(self, index: int) -> Sequence[int]:
        """Return the training labels of the labels of a sample's dataset."""
        dataset = self.dataset
        while hasattr(dataset, '_get_ori_dataset_idx'):
            found = dataset._get_ori_dataset_idx(index)
            if isinstance(found, tuple):
                dataset, index = dataset.datasets[found[0]], found[1]
            else:
                dataset, index = dataset.dataset, found
        return self._translated[id(dataset)]


def _translation(names: Sequence[str], learned: Sequence[str] | None) -> list[int]:
    """Return the training label of each label; -1 for a class that is not trained."""
    if not learned:
        return list(range(len(names)))
    of_name = {name: label for label, name in enumerate(learned)}
    return [of_name.get(name, -1) for name in names]


def _run_lengths(mask: object, height: int, width: int) -> dict:
    """Return a mask as compressed RLE; an empty mask if there is none."""
    if isinstance(mask, Mapping):
        is_compressed = not isinstance(mask['counts'], list)
        return dict(mask) if is_compressed else coco_masks.frPyObjects(mask, height, width)
    polygons = mask or [[0.0] * 6]
    return coco_masks.merge(coco_masks.frPyObjects(polygons, height, width))
