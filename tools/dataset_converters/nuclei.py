"""Cut a micrograph of cell nuclei into a small detection and segmentation dataset.

    python tools/dataset_converters/nuclei.py -o data/nuclei

The image is the 2-D example of StarDist's Python package (BSD-3-Clause): a fluorescence micrograph
of 512 x 512 pixels with an expert's mask of each nucleus. The upper three quarters are cut into
overlapping tiles for training, the lower quarter into tiles without overlap for validation. The
splits share no pixel, and the grey levels are scaled by percentiles of the training rows. The
output is deterministic.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mmgab.datasets.instance_files import SplitWriter
from mmgab.datasets.package_folder import package_folder

TILE = 128  # pixels
MIN_AREA = 20  # pixels; smaller pieces at the edge of a tile are not instances
DARK, BRIGHT = 1, 99.8  # percentiles of the training rows that become 0 and 255


@dataclass(frozen=True)
class Split:
    """Split: rows of the micrograph, and stride of the tiles."""

    name: str
    first_row: int
    last_row: int
    stride: int


SPLITS = (Split('train', 0, 384, 64), Split('val', 384, 512, TILE))


def read_micrograph() -> tuple[np.ndarray, np.ndarray]:
    """Read StarDist's 2-D example: grey levels and instance numbers (0 is background)."""
    fix = 'pip install --no-deps -r requirements/demo.txt'
    folder = package_folder('stardist', 'micrograph', fix) / 'data' / 'images'
    images = []
    for name in ('img2d.tif', 'mask2d.tif'):
        image = cv2.imread(str(folder / name), cv2.IMREAD_UNCHANGED)
        if image is None:
            raise FileNotFoundError(f'{folder / name} is missing or not an image')
        images.append(image)
    return images[0], images[1]


def to_8_bit(grey: np.ndarray) -> np.ndarray:
    """Scale grey levels to 0..255 by percentiles of the training rows."""
    train = SPLITS[0]
    dark, bright = np.percentile(grey[train.first_row : train.last_row], (DARK, BRIGHT))
    scaled = (grey.astype(np.float64) - dark) / (bright - dark)
    return np.round(scaled.clip(0, 1) * 255).astype(np.uint8)


def tile_corners(split: Split, width: int) -> list[tuple[int, int]]:
    """Return the upper left corners (row, column) of a split's tiles."""
    rows = range(split.first_row, split.last_row - TILE + 1, split.stride)
    return [(row, col) for row in rows for col in range(0, width - TILE + 1, split.stride)]


def instances(numbers: np.ndarray) -> list[np.ndarray]:
    """Return the binary masks of a tile's instances of at least ``MIN_AREA`` pixels."""
    masks = [numbers == number for number in np.unique(numbers) if number != 0]
    return [mask for mask in masks if mask.sum() >= MIN_AREA]


def write_split(split: Split, grey: np.ndarray, numbers: np.ndarray, out: Path) -> None:
    """Write a split's tiles, label maps and annotation file."""
    writer = SplitWriter(out, split.name, ['nucleus'], '2-D example of stardist, BSD-3-Clause')
    for row, col in tile_corners(split, grey.shape[1]):
        window = np.s_[row : row + TILE, col : col + TILE]
        label = (numbers[window] > 0).astype(np.uint8)  # 0 background, 1 nucleus
        masks = [(1, mask) for mask in instances(numbers[window])]
        writer.add(f'r{row:03d}_c{col:03d}.png', grey[window], label, masks)
    writer.finish()


def main() -> None:
    """Write the dataset and print its size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('-o', '--out', default='data/nuclei', type=Path, help='output folder')
    out = parser.parse_args().out
    grey, numbers = read_micrograph()
    grey = to_8_bit(grey)
    for split in SPLITS:
        write_split(split, grey, numbers, out)
    print(f'Written to {out}')


if __name__ == '__main__':
    main()
