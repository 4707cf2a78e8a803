"""Select the transforms of a config's test pipeline for images without labels."""

import re
from collections.abc import Mapping, Sequence

from mmengine.config import Config

from mmgab.config_types import type_name

from .nested_datasets import leaf_datasets

# Types of transforms that load labels.
_LABELS = re.compile('Annotation|LoadSegmentation|LoadProposals')


def image_steps(
    config: Config | None, loaders: Sequence[str] = ('val_dataloader', 'test_dataloader')
) -> list[Mapping]:
    """Return the transforms of a test pipeline, without those that load labels.

    Args:
        config: Config with data loaders; None for no config.
        loaders: Names of data loaders; the first one with a pipeline is used.

    Returns:
        Settings of the transforms; only MMCV's image loader if no data loader has a pipeline.
    """
    for name in loaders:
        loader = (config or {}).get(name) or {}
        for dataset in leaf_datasets(loader.get('dataset') or {}):
            if dataset.get('pipeline'):
                return [step for step in dataset['pipeline'] if not _LABELS.search(type_name(step))]
    return [dict(type='LoadImageFromFile')]
