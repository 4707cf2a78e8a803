"""Compare the label map settings of model, metric, dataset and transforms."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from mmcv.transforms import LoadAnnotations
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import METRICS

from mmgab.config_types import is_type

from .findings import Finding
from .model_heads import check_number, heads
from .pipelines import all_known, always, steps
from .segmentation_dataset import SegmentationDataset

_HEADS = ('decode_head', 'auxiliary_head')
_VOID = 255  # default of each setting, and the value that the loader writes


@dataclass(frozen=True)
class LabelLoader:
    """Transform that loads label maps.

    Attributes:
        backend: MMCV's ``imdecode_backend``.
        reduces_zero: The transform's ``reduce_zero_label``; None for the dataset's.
        kind: Class name of the transform.
        is_known: True for MMSegmentation's transform, alone or inside mmgab's.
    """

    backend: str = 'pillow'
    reduces_zero: bool | None = None
    kind: str = 'LoadAnnotations'
    is_known: bool = True


def label_loaders(pipeline: Compose) -> Iterator[LabelLoader]:
    """Yield the transforms of a pipeline that load label maps, nested ones included.

    Args:
        pipeline: A built pipeline.
    """
    for step in steps(pipeline):
        if not _loads_labels(step):
            continue
        is_known = type(step).__module__.startswith('mmseg.')
        reduces = getattr(step, 'reduce_zero_label', None)
        yield LabelLoader(step.imdecode_backend, reduces, type(step).__name__, is_known)


def _loads_labels(step: object) -> TypeGuard[LoadAnnotations]:
    return isinstance(step, LoadAnnotations) and step.with_seg


def ignored_label(config: Config, name: str) -> int:
    """Return the ``ignore_index`` of the losses (training loader) or of the metric (others)."""
    settings = _of_heads(config) if name == 'train_dataloader' else _of_metrics(config, name)
    return next((value for _, value in settings), _VOID)


def check_settings(config: Config, name: str, dataset: SegmentationDataset) -> Iterator[Finding]:
    """Compare settings that must agree.

    Args:
        config: The complete config.
        name: Name of a loader.
        dataset: A built dataset of the loader.
    """
    yield from _check_loaders(name, dataset)
    is_training = name == 'train_dataloader'
    number = len(dataset.metainfo['classes'])
    of_heads = _of_heads(config)
    given = [*of_heads, *(() if is_training else _of_metrics(config, name))]
    if len({value for _, value in given}) > 1:
        # A metric that ignores a class, such as background, may be intended.
        leaves_out = all(0 <= value < number for _, value in given[len(of_heads) :])
        is_choice = not is_training and leaves_out and len({value for _, value in of_heads}) == 1
        detail = _listed(given) + ('' if is_choice else '; set one value in all')
        yield Finding('ignore_index settings differ', detail, is_error=not is_choice)
    ignored = ignored_label(config, name)
    if dataset.ignore_index != ignored:
        both = _listed([*given, (f'{name}.dataset.ignore_index', dataset.ignore_index)])
        yield Finding('ignore_index of the dataset has no effect', both, is_error=False)
    if is_training:
        yield from _check_padding(_paddings(config, dataset.pipeline), ignored, number)
        for where, head in _heads(config):
            yield from check_number(where, head, {number})


def _check_loaders(name: str, dataset: SegmentationDataset) -> Iterator[Finding]:
    expected = bool(dataset.reduce_zero_label)
    loaders, transforms = list(label_loaders(dataset.pipeline)), dataset.pipeline.transforms
    is_training = name == 'train_dataloader'
    is_loaded = always(dataset.pipeline, _loads_labels) or not all_known(dataset.pipeline)
    if is_training and transforms and not is_loaded:
        where = 'a branch of ' if loaders else ''
        kinds = [type(each).__name__ for each in transforms]
        detail = f'{name}: LoadAnnotations is missing in {where}{kinds}'
        yield Finding('training pipeline does not load label maps', detail)
    for loader in loaders:
        if not loader.is_known:
            detail = f'{name}: {loader.kind} is custom, label maps are read as by LoadAnnotations'
            yield Finding('label map loader is not checked', detail, is_error=False)
        elif loader.reduces_zero not in (None, expected):
            detail = (
                f'{name}: reduce_zero_label={loader.reduces_zero} in {loader.kind}, {expected} in '
                'the dataset; set it in the dataset only'
            )
            yield Finding('reduce_zero_label of pipeline and dataset differ', detail)


def _check_padding(
    paddings: Iterable[tuple[str, int]], ignored: int, number: int
) -> Iterator[Finding]:
    for where, value in paddings:
        if value == ignored:
            continue
        is_class = 0 <= value < number  # for example background, which may be intended
        detail = f'{where}={value}, the losses have ignore_index={ignored}' + (
            '; padding is trained as a class' if is_class else ''
        )
        yield Finding('padding value of label maps is not ignored', detail, not is_class)


def _paddings(config: Config, pipeline: object) -> Iterator[tuple[str, int]]:
    """Yield the settings of padding values for label maps, and their values."""
    preprocessor = (config.get('model') or {}).get('data_preprocessor') or {}
    if 'seg_pad_val' in preprocessor:
        yield 'model.data_preprocessor.seg_pad_val', preprocessor['seg_pad_val']
    for step in steps(pipeline):
        name = f'{type(step).__name__} of the pipeline'
        pad_val = getattr(step, 'pad_val', None)
        if hasattr(step, 'seg_pad_val'):
            yield f'{name}: seg_pad_val', step.seg_pad_val
        elif isinstance(pad_val, Mapping):
            yield f"{name}: pad_val['seg']", pad_val.get('seg', _VOID)


def _of_heads(config: Config) -> list[tuple[str, int]]:
    return [
        (f'{where}.ignore_index', head.get('ignore_index', _VOID)) for where, head in _heads(config)
    ]


def _of_metrics(config: Config, name: str) -> list[tuple[str, int]]:
    key = name.replace('dataloader', 'evaluator')
    metrics, scope = config.get(key) or [], config.get('default_scope')
    return [
        (f'{key}.ignore_index', metric.get('ignore_index', _VOID))
        for metric in (metrics if isinstance(metrics, Sequence) else [metrics])
        if isinstance(metric, Mapping) and is_type(metric, 'IoUMetric', METRICS, scope)
    ]


def _heads(config: Config) -> Iterator[tuple[str, Mapping]]:
    """Yield the segmentation heads of the model with their config keys."""
    for key in _HEADS:
        yield from heads(config.get('model'), 'model', (key,))


def _listed(given: Sequence[tuple[str, int]]) -> str:
    return ', '.join(f'{where}={value}' for where, value in given)
