"""Images to measure receptive fields with: of a folder, of a config's validation set, or noise."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
from erf_subject import Subject
from mmengine.registry import DATASETS
from torch import Tensor

_SUFFIXES = {'.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp'}
# A name, and how to read it: what cannot be read says so when its turn comes.
Source = tuple[str, Callable[[], Tensor]]


def chosen_images(images: str, count: int | None, seed: int, subject: Subject) -> list[Source]:
    """Images as users name them: a folder, ``val`` or ``noise``; so many, drawn by a seed.

    Raises:
        FileNotFoundError: If the config's validation set is not there.
        ValueError: If there are none.
    """
    if count is not None and count < 1:
        raise ValueError(f'--num must be at least 1, got {count}')
    if images == 'noise':
        return noise_images(100 if count is None else count, seed, subject)
    if images == 'val':
        return choose(validation_images(subject), count, seed)
    return choose(folder_images(Path(images), subject), count, seed)


def folder_images(folder: Path, subject: Subject) -> list[Source]:
    """Images below a folder, in the order of their names.

    Raises:
        ValueError: If there are none.
    """
    files = sorted(file for file in folder.rglob('*') if file.suffix.lower() in _SUFFIXES)
    if not files:
        found = 'does not exist' if not folder.is_dir() else 'has no image'
        raise ValueError(f'--images {folder}: the folder {found} ({", ".join(sorted(_SUFFIXES))})')

    def read(file: Path) -> Tensor:
        image = cv2.imread(str(file), cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError('unreadable')
        return subject.prepare(image)

    return [(str(file.relative_to(folder)), lambda file=file: read(file)) for file in files]


def validation_images(subject: Subject) -> list[Source]:
    """The config's validation set through its own pipeline.

    Raises:
        ValueError: If there is no config.
    """
    if subject.config is None or not subject.config.get('val_dataloader'):
        raise ValueError('--images val needs a config with a val_dataloader')
    dataset = DATASETS.build(subject.config.val_dataloader.dataset)

    def read(index: int) -> Tensor:
        return subject.prepare(dataset[index]['inputs'].permute(1, 2, 0).numpy())

    names = [Path(dataset.get_data_info(i)['img_path']).name for i in range(len(dataset))]
    return [(name, lambda i=i: read(i)) for i, name in enumerate(names)]


def noise_images(count: int, seed: int, subject: Subject) -> list[Source]:
    """Normal noise, as an image is after normalisation."""

    def draw(index: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed * 1_000_003 + index)
        return torch.randn(3, *subject.size, generator=generator)

    return [(f'noise {i}', lambda i=i: draw(i)) for i in range(count)]


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
            except (ValueError, OSError) as error:
                refused[name] = str(error)

    images = readable()
    while batch := list(islice(images, batch_size)):
        names, tensors = zip(*batch, strict=True)
        yield list(names), torch.stack(tensors)
