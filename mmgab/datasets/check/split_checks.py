"""Check the datasets of a loader by type; exceptions become findings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from mmcv.transforms import LoadImageFromFile
from mmengine.config import Config
from mmengine.dataset import Compose

from mmgab.datasets.built_datasets import class_names, class_problem, has_a_target
from mmgab.datasets.category_labels import misplaced

from .coco_checks import check_coco, is_coco
from .dataset_parts import Part, build_parts, check_wrappers, has_labels
from .detector_heads import check_detector
from .evaluator_checks import check_evaluator
from .file_reading import Reading
from .findings import Finding, Split
from .image_checks import Decoder
from .label_map_dataset import check_label_maps
from .listed_instances import check_listed
from .loading_order import check_order
from .model_channels import model_channels

TRAINING = 'train_dataloader'


def check_loader(
    config: Config, name: str, reading: Reading, evaluators: Sequence[str] = ()
) -> Split:
    """Check the datasets of a loader, inside any wrappers.

    Args:
        config: The complete config.
        name: Name of the loader.
        reading: Settings for reading files.
        evaluators: Names of the evaluators of the loader.
    """
    split = Split(name)
    settings = config[name].dataset
    if not isinstance(settings, Mapping):
        detail = f'{name}.dataset is a {type(settings).__name__}, expected one dict; use '
        detail += "dict(type='ConcatDataset', datasets=[...]) for several datasets"
        split.add([Finding('dataset cannot be built', detail)])
        return split
    built = list(build_parts(settings, config))
    parts = [part for part in built if isinstance(part, Part)]
    split.add(found for found in built if isinstance(found, Finding))
    for part in parts:
        found = Split(name)
        try:
            decoder = _decoder(part.dataset.pipeline, config)
            _check(found, part, config, replace(reading, decoder=decoder))
        except Exception as error:  # files may contain anything
            found.add([Finding('dataset cannot be checked', f'{part.name}: {error}')])
        split.take(found, part.name if len(built) > 1 else '')
    split.labels = [class_names(part.dataset) for part in parts if has_labels(part.dataset)]
    split.add(check_wrappers(settings, parts))
    if len(parts) == len(built):
        split.add(_check_targets(parts) if name == TRAINING else _check_counts(split))
    for evaluator in evaluators:
        try:
            split.add(check_evaluator(config, evaluator, parts, reading))
        except Exception as error:
            split.add([Finding('evaluator cannot be checked', f'{evaluator}: {error}')])
    return split


def check_leaks(split: Split, others: Sequence[Split]) -> None:
    """Report images that a split shares with the training set."""
    for other in others:
        by_digest = {digest: path for path, digest in other.hashes.items()}
        for path, digest in split.hashes.items():
            if digest in by_digest:
                detail = f'{path} is identical to {by_digest[digest]} of {other.name}'
                split.add([Finding('image is also in the training set', detail)])


def check_same_labels(split: Split, others: Sequence[Split]) -> None:
    """Report classes that have another label than in the training set."""
    for other in others:
        for learned in other.labels[:1]:
            for classes in split.labels:
                for label, instead in misplaced(learned, classes).items():
                    detail = f'label {label} is {learned[label]} in {other.name}, {instead} here'
                    split.add([Finding('class has another label than in training', detail)])


def _check(split: Split, part: Part, config: Config, reading: Reading) -> None:
    """Check a dataset according to its class."""
    dataset = part.dataset
    if split.name == TRAINING:
        split.add(check_detector(config, dataset))
        split.add(check_order(dataset.pipeline))
    problem = class_problem(dataset)
    if problem is not None:
        split.add([Finding('classes in metainfo are invalid', problem)])
    elif is_coco(dataset):
        split.add(_short_palette(dataset.metainfo))
        check_coco(split, part, reading)
    elif hasattr(dataset, 'reduce_zero_label'):
        split.add(_short_palette(dataset.metainfo))
        check_label_maps(split, dataset, config, reading)
        part.kept = dataset.data_list if dataset._fully_initialized else None
    else:
        check_listed(split, part, reading)


def _short_palette(meta: Mapping) -> Iterator[Finding]:
    """Report a palette that has no colour for some classes, with which nothing can be drawn."""
    classes, palette = meta.get('classes') or (), meta.get('palette')
    if isinstance(palette, (list, tuple)) and len(palette) < len(classes):
        detail = (
            f'metainfo has {len(palette)} colours and {len(classes)} classes; leave palette out'
        )
        yield Finding('palette is shorter than the classes', detail, is_error=False)


def _check_targets(parts: Sequence[Part]) -> Iterator[Finding]:
    """Report a training set without an instance that contributes to the loss."""
    if all(part.kept for part in parts):
        infos = [info for part in parts for info in part.infos]
        if infos and not any(map(has_a_target, infos)):
            detail = f'{len(infos)} images are kept, no instance contributes to the loss'
            yield Finding('training set without instances', detail)


def _check_counts(split: Split) -> Iterator[Finding]:
    """Report annotation files whose instances are all filtered out."""
    counts = split.counts
    if counts.get('instances kept') == 0 and counts.get('annotations', 0) > counts['crowds']:
        detail = f'0 of {counts["annotations"]} annotations'
        yield Finding('dataset keeps no instance', detail)


def _decoder(pipeline: Compose, config: Config) -> Decoder | None:
    """Return the decoder of a built pipeline if its first transform is MMCV's loader."""
    steps = pipeline.transforms
    loader = steps[0] if steps else LoadImageFromFile()
    if isinstance(loader, LoadImageFromFile):
        takes = model_channels(config, pipeline)
        return Decoder(loader.imdecode_backend, loader.color_type, takes)
    return None
