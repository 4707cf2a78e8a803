"""The data sets inside a loader's wrappers, each built as the config says."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO

from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS

from mmgab.config_types import type_name, type_of
from mmgab.datasets.built_datasets import class_names, class_problem
from mmgab.datasets.nested_datasets import inner_datasets

from .findings import Finding

# Whose wrappers are known to give the images of what they wrap, and no others.
_KNOWN = ('mmengine', 'mmdet', 'mmseg', 'mmpretrain')
_WRAPPERS = ('ConcatDataset', 'RepeatDataset', 'ClassBalancedDataset', 'MultiImageMixDataset')


@dataclass
class Part:
    """A data set of a loader.

    Attributes:
        name: Wrappers it is in, and its type.
        settings: Of the config.
        dataset: Built, its annotations not loaded yet.
        content: Of its annotation file, where that has COCO's layout and can be read.
        kept: What it says of each image that it keeps; None until it is loaded.
        times: How often wrappers give each image.
    """

    name: str
    settings: Mapping
    dataset: BaseDataset
    content: Mapping | None = None
    kept: Sequence[Mapping] | None = None
    times: int = 1

    @property
    def infos(self) -> Sequence[Mapping]:
        """``kept`` of a data set that is loaded."""
        assert self.kept is not None, f'{self.name} is not loaded'
        return self.kept

    def load(self) -> Iterator[Finding]:
        """Load its annotations, with its filters; of what it raises, note why."""
        self.dataset.serialize_data = False  # of nothing it raises an error
        try:
            with redirect_stdout(StringIO()):  # pycocotools counts seconds there
                self.dataset.full_init()
            self.kept = self.dataset.data_list
        except Exception as error:  # files and data sets of others may raise anything
            detail = f'{self.dataset.ann_file}: {type(error).__name__}: {error}'
            yield Finding('data set that cannot be loaded', detail)


def build_parts(settings: Mapping, config: Config, path: str = '') -> Iterator[Part | Finding]:
    """Build the data sets inside any nest of wrappers; of what cannot be built, note why.

    Args:
        settings: Of the data set or wrapper.
        config: The whole one.
        path: Wrappers that it is in.
    """
    kind, name = type_of(settings, DATASETS, config.get('default_scope')), type_name(settings)
    inner = inner_datasets(settings)
    if inner is not None:
        if not _is_known_wrapper(kind):
            detail = f'{path}{name}: what it wraps is checked, what it makes of it is not'
            yield Finding('wrapper of a kind that is not checked', detail, is_error=False)
        for index, each in enumerate(inner):
            place = f'[{index}]' if len(inner) > 1 else ''
            for part in build_parts(each, config, f'{path}{name}{place} > '):
                yield _repeated(part, settings)
    elif isinstance(kind, type) and not issubclass(kind, BaseDataset):
        yield Finding('data set of a kind that is not checked', f'{path}{name}', is_error=False)
    else:
        try:
            dataset = DATASETS.build({**settings, **_lazily(kind)})
        except Exception as error:  # a config may hold anything
            detail = f'{path}{name}: {type(error).__name__}: {error}'
            yield Finding('data set that cannot be built', detail)
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
    """The argument that keeps a data set from loading at once, where it takes that."""
    parameters = inspect.signature(kind).parameters if callable(kind) else {}
    takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    return dict(lazy_init=True) if takes_any or 'lazy_init' in parameters else {}


def check_wrappers(settings: Mapping, parts: Sequence[Part]) -> Iterator[Finding]:
    """Build the wrappers of data sets that are loaded; of those that cannot be, note why."""
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
    except Exception as error:  # data sets whose classes differ, for example
        detail = f'{type_name(settings)}: {type(error).__name__}: {error}'
        yield Finding('wrapper that cannot be built', detail)


def has_labels(dataset: object) -> bool:
    """Tell whether the classes of a data set are labels; in an open vocabulary they are texts."""
    is_sound = class_problem(class_names(dataset)) is None
    return is_sound and not getattr(dataset, 'return_classes', False)
