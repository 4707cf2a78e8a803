"""Images to measure receptive fields with: of a folder, of a config's validation set, or noise."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.registry import DATASETS
from torch import Tensor
from torch.utils.data import Dataset

from mmgab.analysis.image_channels import image_channels
from mmgab.config_types import type_name
from mmgab.datasets.nested_datasets import leaf_datasets

from .erf_subject import Subject

_SUFFIXES = {'.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp'}
_LABELS = re.compile('Annotation|LoadSegmentation|LoadProposals')  # types of a pipeline's steps
# A name, and how to read it: what cannot be read says so when its turn comes.
Source = tuple[str, Callable[[], Tensor]]


def check_images(images: str, count: int | None) -> None:
    """Check what can be checked before a network is built.

    Raises:
        ValueError: If no image is asked for, or the folder does not exist.
    """
    if count is not None and count < 1:
        raise ValueError(f'--num must be at least 1, got {count}')
    if images not in ('noise', 'val') and not Path(images).is_dir():
        raise ValueError(f'--images {images}: the folder does not exist')


def chosen_images(images: str, count: int | None, seed: int, subject: Subject) -> list[Source]:
    """Images as users name them: a folder, ``val`` or ``noise``; so many, drawn by a seed.

    Raises:
        FileNotFoundError: If the config's validation set is not there.
        ValueError: If there are none.
    """
    check_images(images, count)
    if images == 'noise':
        return noise_images(100 if count is None else count, seed, subject)
    if images == 'val':
        return choose(validation_images(subject), count, seed)
    return choose(folder_images(Path(images), subject), count, seed)


def folder_images(folder: Path, subject: Subject) -> list[Source]:
    """Images below a folder, in the order of their names, read as the config's test images are.

    Raises:
        ValueError: If there are none.
    """
    files = sorted(file for file in folder.rglob('*') if file.suffix.lower() in _SUFFIXES)
    if not files:
        allowed = ', '.join(sorted(_SUFFIXES))
        raise ValueError(f'--images {folder}: the folder has no image ({allowed})')

    pipeline = Compose(image_steps(subject.config))

    def read(file: Path) -> Tensor:
        return subject.prepare(_packed_image(pipeline(dict(img_path=str(file), img_id=0))))

    return [(str(file.relative_to(folder)), partial(read, file)) for file in files]


def image_steps(config: Config | None) -> list[Mapping]:
    """Steps of a config's test pipeline that need no labels; MMCV's loader where there is none."""
    for name in ('val_dataloader', 'test_dataloader'):
        loader = (config or {}).get(name) or {}
        for dataset in leaf_datasets(loader.get('dataset') or {}):
            if dataset.get('pipeline'):
                return [step for step in dataset['pipeline'] if not _LABELS.search(type_name(step))]
    return [dict(type='LoadImageFromFile')]


def _packed_image(sample: Mapping | None) -> np.ndarray:
    """The image of what a pipeline made, ``(H, W, channels)``."""
    if sample is None:
        raise ValueError("the pipeline's loader left it out")
    if 'inputs' in sample:
        return sample['inputs'].permute(1, 2, 0).numpy()
    return sample['img']  # of a pipeline that does not pack


def validation_images(subject: Subject) -> list[Source]:
    """The config's validation set through its own pipeline.

    Raises:
        ValueError: If there is no config.
    """
    if subject.config is None or not subject.config.get('val_dataloader'):
        raise ValueError('--images val needs a config with a val_dataloader')
    dataset = DATASETS.build(subject.config.val_dataloader.dataset)

    def read(index: int) -> Tensor:
        return subject.prepare(_packed_image(dataset[index]))

    names = [_image_name(dataset, i) for i in range(len(dataset))]
    return [(name, partial(read, i)) for i, name in enumerate(names)]


def _image_name(dataset: Dataset, index: int) -> str:
    about = dataset.get_data_info(index) if hasattr(dataset, 'get_data_info') else {}
    return Path(about.get('img_path') or f'image {index}').name


def noise_images(count: int, seed: int, subject: Subject) -> list[Source]:
    """Normal noise, as an image is after normalisation, of as many channels as the network's."""
    channels = image_channels(subject.network)

    def draw(index: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed * 1_000_003 + index)
        return torch.randn(channels, *subject.size, generator=generator)

    return [(f'noise {i}', partial(draw, i)) for i in range(count)]


def choose(sources: Sequence[Source], count: int | None, seed: int) -> list[Source]:
    """So many of the images, drawn by a seed; in their order."""
    if count is None or count >= len(sources):
        return list(sources)
    drawn = np.random.default_rng(seed).choice(len(sources), count, replace=False)
    return [sources[i] for i in sorted(drawn)]


def batches(
    sources: Sequence[Source], batch_size: int, refused: dict[str, str]
) -> Iterator[tuple[list[str], Tensor]]:
    """Read images in batches; what cannot be read is noted in ``refused``, with the reason."""

    def readable() -> Iterator[tuple[str, Tensor]]:
        for name, read in sources:
            try:
                yield name, read()
            except Exception as error:  # of any loader, decoder or step of a pipeline
                refused[name] = f'unreadable: {str(error) or type(error).__name__}'

    images = readable()
    while batch := list(islice(images, batch_size)):
        names, tensors = zip(*batch, strict=True)
        yield list(names), torch.stack(tensors)
