"""Build the datasets inside the wrappers of a loader as the config says."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO

from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS

from mmgab.config_types import type_name, type_of
from mmgab.datasets.built_datasets import class_problem
from mmgab.datasets.nested_datasets import inner_datasets

from .findings import Finding

# Wrappers of these packages return the images of their datasets, and no others.
_KNOWN = ('mmengine', 'mmdet', 'mmseg', 'mmpretrain')
_WRAPPERS = ('ConcatDataset', 'RepeatDataset', 'ClassBalancedDataset', 'MultiImageMixDataset')


@dataclass
class Part:
    """Dataset of a loader.

    Attributes:
        name: Types of its wrappers, and its own type.
        settings: Its settings in the config.
        dataset: The built dataset, annotations not loaded yet.
        content: Content of its annotation file, if readable and in COCO format.
        kept: Data infos after filtering; None before loading.
        times: Number of times that wrappers repeat each image.
    """

    name: str
    settings: Mapping
    dataset: BaseDataset
    content: Mapping | None = None
    kept: Sequence[Mapping] | None = None
    times: int = 1

    @property
    def infos(self) -> Sequence[Mapping]:
        """Return ``kept`` of a loaded dataset."""
        assert self.kept is not None, f'{self.name} is not loaded'
        return self.kept

    def load(self) -> Iterator[Finding]:
        """Load and filter the annotations; report any error."""
        self.dataset.serialize_data = False  # serializing an empty list raises an error
        try:
            with redirect_stdout(StringIO()):  # pycocotools prints its loading time
                self.dataset.full_init()
            self.kept = self.dataset.data_list
        except Exception as error:  # files and custom datasets may raise any error
            detail = f'{self.dataset.ann_file}: {type(error).__name__}: {error}'
            yield Finding('dataset cannot be loaded', detail)


def build_parts(settings: Mapping, config: Config, path: str = '') -> Iterator[Part | Finding]:
    """Build the datasets inside nested wrappers; report each one that cannot be built.

    Args:
        settings: Settings of the dataset or wrapper.
        config: The complete config.
        path: Types of the outer wrappers.
    """
    kind, name = type_of(settings, DATASETS, config.get('default_scope')), type_name(settings)
    inner = inner_datasets(settings)
    if inner is not None:
        if not _is_known_wrapper(kind):
            detail = f'{path}{name}: its datasets are checked, the output of the wrapper is not'
            yield Finding('dataset wrapper is not checked', detail, is_error=False)
        for index, each in enumerate(inner):
            place = f'[{index}]' if len(inner) > 1 else ''
            for part in build_parts(each, config, f'{path}{name}{place} > '):
                yield _repeated(part, settings)
    elif isinstance(kind, type) and not issubclass(kind, BaseDataset):
        detail = f'{path}{name}: only subclasses of mmengine.dataset.BaseDataset are checked'
        yield Finding('dataset type is not checked', detail, is_error=False)
    else:
        try:
            dataset = DATASETS.build({**settings, **_lazily(kind)})
        except Exception as error:  # a config may contain anything
            detail = f'{path}{name}: {type(error).__name__}: {error}'
            yield Finding('dataset cannot be built', detail)
        else:
            yield Part(f'{path}{name}', settings, dataset)


def _repeated(part: Part | Finding, wrapper: Mapping) -> Part | Finding:
    if isinstance(part, Part) and type_name(wrapper) == 'RepeatDataset':
        part.times *= wrapper.get('times', 1)
    return part


def _is_known_wrapper(kind: object) -> bool:
    package = getattr(kind, '__module__', '').partition('.')[0]
    return package in _KNOWN and getattr(kind, '__name__', '') in _WRAPPERS


def _lazily(kind: object) -> Mapping:
    """Return ``lazy_init=True`` if the dataset class accepts it."""
    parameters = inspect.signature(kind).parameters if callable(kind) else {}
    takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    return dict(lazy_init=True) if takes_any or 'lazy_init' in parameters else {}


def check_wrappers(settings: Mapping, parts: Sequence[Part]) -> Iterator[Finding]:
    """Build the wrappers of loaded datasets; report each one that cannot be built."""
    inner = inner_datasets(settings)
    if inner is None:
        return
    found = [next((p for p in parts if p.settings is each), None) for each in inner]
    for each in inner:
        yield from check_wrappers(each, parts)
    built = [part.dataset for part in found if part is not None and part.kept is not None]
    if len(built) < len(found):
        return
    key = 'dataset' if 'dataset' in settings else 'datasets'
    try:
        DATASETS.build({**settings, key: built[0] if key == 'dataset' else built})
    except Exception as error:  # for example, datasets whose classes differ
        detail = f'{type_name(settings)}: {type(error).__name__}: {error}'
        yield Finding('dataset wrapper cannot be built', detail)


def has_labels(dataset: object) -> bool:
    """Return True if classes map to labels; with an open vocabulary they are text prompts."""
    is_valid = class_problem(dataset) is None
    return is_valid and not getattr(dataset, 'return_classes', False)
