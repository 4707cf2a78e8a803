"""Check datasets in COCO format: annotation file, images, and the loaded data infos."""

from pathlib import Path

from mmgab.datasets.built_datasets import class_names

from .annotation_file import read_annotations
from .category_checks import check_labels
from .dataset_parts import Part
from .file_reading import Reading
from .filtered_instances import check_filtered
from .findings import Split, in_file
from .instance_checks import check_annotations, check_sizes, count
from .kept_images import check_seg_maps, count_kept, ignore_run_lengths
from .pipelines import reads
from .split_images import add_images

_LOADERS = ('mmdet.datasets.coco', 'mmdet.datasets.objects365')


def is_coco(dataset: object) -> bool:
    """Return True if a dataset loads its file as MMDetection's ``CocoDataset`` does."""
    load, api = getattr(type(dataset), 'load_data_list', None), getattr(dataset, 'COCOAPI', None)
    return getattr(load, '__module__', None) in _LOADERS and getattr(api, '__name__', '') == 'COCO'


def check_coco(split: Split, part: Part, reading: Reading) -> None:
    """Check a dataset in COCO format."""
    dataset, classes = part.dataset, class_names(part.dataset)
    part.content, findings = read_annotations(Path(dataset.ann_file), reading.max_annotation_bytes)
    split.add(findings)
    if part.content is None:
        return
    images = part.content['images']
    folder = dataset.data_prefix.get('img', '')
    names = [image['file_name'] for image in images if image['file_name'] is not None]
    paths = [str(Path(folder, name)) for name in names]
    inspected = dict(zip(names, reading.images(paths, split.name), strict=True))
    add_images(split, inspected.values(), str(dataset.ann_file))
    found = check_annotations(part.content, classes, reads(dataset.pipeline, 'with_mask'))
    split.add(in_file(found, dataset.ann_file))
    split.add(in_file(check_sizes(part.content, inspected), dataset.ann_file))
    split.count(*count(part.content, classes))
    split.add(part.load())
    if part.kept is None:
        return
    names_of_ids = {each['id']: each['name'] for each in part.content['categories']}
    labels = [names_of_ids.get(category, '') for category in dataset.cat_ids]
    split.add(check_labels(labels, classes, dataset.ann_file))
    split.add(check_filtered(part, part.content, classes))
    split.add(check_seg_maps(part))
    split.add(ignore_run_lengths(part))
    count_kept(split, part, classes)
