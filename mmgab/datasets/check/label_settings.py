"""Settings of a config about label maps, which model, metric, data set and transforms share."""

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
_VOID = 255  # the default of each setting, and what the loader writes


@dataclass(frozen=True)
class LabelLoader:
    """How a pipeline loads label maps.

    Attributes:
        backend: MMCV's ``imdecode_backend``.
        reduces_zero: The transform's ``reduce_zero_label``; None for the data set's.
        kind: Of the transform.
        is_known: Whether it is MMSegmentation's, or this library's, which calls that.
    """

    backend: str = 'pillow'
    reduces_zero: bool | None = None
    kind: str = 'LoadAnnotations'
    is_known: bool = True


def label_loaders(pipeline: Compose) -> Iterator[LabelLoader]:
    """Transforms of a pipeline, and within them, that load label maps.

    Args:
        pipeline: A built one.
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
    """Label that the losses leave out, for the training loader, or the metric, for another."""
    settings = _of_heads(config) if name == 'train_dataloader' else _of_metrics(config, name)
    return next((value for _, value in settings), _VOID)


def check_settings(config: Config, name: str, dataset: SegmentationDataset) -> Iterator[Finding]:
    """Compare settings that must agree.

    Args:
        config: A complete config.
        name: Of a loader.
        dataset: One of its data sets, built.
    """
    yield from _check_loaders(name, dataset)
    is_training = name == 'train_dataloader'
    number = len(dataset.metainfo['classes'])
    of_heads = _of_heads(config)
    given = [*of_heads, *(() if is_training else _of_metrics(config, name))]
    if len({value for _, value in given}) > 1:
        # A score without the background is a choice, whatever the losses ignore.
        leaves_out = all(0 <= value < number for _, value in given[len(of_heads) :])
        is_choice = not is_training and leaves_out and len({value for _, value in of_heads}) == 1
        yield Finding('ignore_index that differ', _listed(given), is_error=not is_choice)
    ignored = ignored_label(config, name)
    if dataset.ignore_index != ignored:
        both = _listed([*given, (f'{name}.dataset.ignore_index', dataset.ignore_index)])
        yield Finding('ignore_index of the data set has no effect', both, is_error=False)
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
        where = 'in each branch of' if loaders else 'among'
        kinds = [type(each).__name__ for each in transforms]
        detail = f'{name}: no LoadAnnotations {where} {kinds}'
        yield Finding('training pipeline that loads no label maps', detail)
    for loader in loaders:
        if not loader.is_known:
            detail = f"{name}: {loader.kind} is not MMSegmentation's; checked as if it were"
            yield Finding('label maps with a loader that is not checked', detail, is_error=False)
        elif loader.reduces_zero not in (None, expected):
            detail = (
                f'{name}: reduce_zero_label={loader.reduces_zero} in {loader.kind} of the '
                f"pipeline, {expected} in the data set; set both alike, or the data set's alone"
            )
            yield Finding('reduce_zero_label of pipeline and data set differ', detail)


def _check_padding(
    paddings: Iterable[tuple[str, int]], ignored: int, number: int
) -> Iterator[Finding]:
    for where, value in paddings:
        if value == ignored:
            continue
        is_class = 0 <= value < number  # the background, for example, as some mean it
        detail = f'{where}={value}, the losses ignore {ignored}' + (
            ': padding is trained as a class' if is_class else ''
        )
        yield Finding('padding of label maps that is not ignored', detail, not is_class)


def _paddings(config: Config, pipeline: object) -> Iterator[tuple[str, int]]:
    """Values of padded pixels of label maps, and where they are set."""
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
    """Segmentation heads of the model, and their names."""
    for key in _HEADS:
        yield from heads(config.get('model'), 'model', (key,))


def _listed(given: Sequence[tuple[str, int]]) -> str:
    return ', '.join(f'{where}={value}' for where, value in given)
