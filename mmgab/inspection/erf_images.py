"""Input images of receptive field measurements: a folder, the validation set, or noise."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.registry import DATASETS
from torch import Tensor
from torch.utils.data import Dataset

from mmgab.analysis.image_channels import image_channels
from mmgab.datasets.image_file import IMAGE_SUFFIXES, images_below
from mmgab.datasets.image_steps import image_steps

from .erf_subject import Subject

# Name and reader of an image. The reader raises the error of an unreadable image.
Source = tuple[str, Callable[[], Tensor]]


def check_images(images: str, count: int | None) -> None:
    """Check ``--images`` and ``--num`` before a network is built.

    Raises:
        ValueError: If ``count`` is below 1, or the folder does not exist.
    """
    if count is not None and count < 1:
        raise ValueError(f'--num must be at least 1, got {count}')
    if images not in ('noise', 'val') and not Path(images).is_dir():
        raise ValueError(f'--images {images}: the folder does not exist')


def chosen_images(images: str, count: int | None, seed: int, subject: Subject) -> list[Source]:
    """Return the images of ``--images``: those of a folder, ``val`` or ``noise``.

    If there are more than ``count``, a random sample is drawn with the seed.

    Raises:
        FileNotFoundError: If the validation set of the config does not exist.
        ValueError: If there are no images.
    """
    check_images(images, count)
    if images == 'noise':
        return noise_images(100 if count is None else count, seed, subject)
    if images == 'val':
        return choose(validation_images(subject), count, seed)
    return choose(folder_images(Path(images), subject), count, seed)


def folder_images(folder: Path, subject: Subject) -> list[Source]:
    """Return the images of a folder and its subfolders, sorted by path.

    They are read with the test pipeline of the config.

    Raises:
        ValueError: If there are no images.
    """
    files = images_below(folder)
    if not files:
        allowed = ', '.join(sorted(IMAGE_SUFFIXES))
        raise ValueError(f'--images {folder}: the folder has no image ({allowed})')

    pipeline = Compose(image_steps(subject.config))

    def read(file: Path) -> Tensor:
        return subject.prepare(_packed_image(pipeline(dict(img_path=str(file), img_id=0))))

    return [(str(file.relative_to(folder)), partial(read, file)) for file in files]


def _packed_image(sample: Mapping | None) -> np.ndarray:
    """Return the image of a pipeline's output, ``(H, W, channels)``."""
    if sample is None:
        raise ValueError('the pipeline returned None')
    if 'inputs' in sample:
        return sample['inputs'].permute(1, 2, 0).numpy()
    return sample['img']  # the pipeline has no Pack...Inputs step


def validation_images(subject: Subject) -> list[Source]:
    """Return the images of the config's validation set, read with its pipeline.

    Raises:
        ValueError: If there is no config or no val_dataloader.
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
    """Return images of standard normal noise with the network's number of channels."""
    channels = image_channels(subject.network)

    def draw(index: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed * 1_000_003 + index)
        return torch.randn(channels, *subject.size, generator=generator)

    return [(f'noise {i}', partial(draw, i)) for i in range(count)]


def choose(sources: Sequence[Source], count: int | None, seed: int) -> list[Source]:
    """Sample ``count`` images with a seed; the order is kept."""
    if count is None or count >= len(sources):
        return list(sources)
    drawn = np.random.default_rng(seed).choice(len(sources), count, replace=False)
    return [sources[i] for i in sorted(drawn)]


def batches(
    sources: Sequence[Source], batch_size: int, refused: dict[str, str]
) -> Iterator[tuple[list[str], Tensor]]:
    """Yield batches of images; unreadable images are added to ``refused``, with the reason."""

    def readable() -> Iterator[tuple[str, Tensor]]:
        for name, read in sources:
            try:
                yield name, read()
            except Exception as error:  # from a loader, a decoder or a pipeline step
                refused[name] = f'unreadable: {str(error) or type(error).__name__}'

    images = readable()
    while batch := list(islice(images, batch_size)):
        names, tensors = zip(*batch, strict=True)
        yield list(names), torch.stack(tensors)
