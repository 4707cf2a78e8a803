"""Split images in one folder per class into training, validation and test sets.

    python tools/dataset_converters/split_classes.py data/caltech101
    python tools/dataset_converters/split_classes.py data/pets --by-name

Reads FOLDER/images and writes FOLDER/train.txt, val.txt and test.txt (70, 15 and 15 % of all
images) and FOLDER/classes.txt. The splits are exactly those of the code of arXiv 2305.04722: images
in the order of torchvision's ImageFolder, shuffled by NumPy's legacy generator with seed 0, sizes
rounded down. At most two images are in no split because of rounding. A line is an image's path
below images and the index of its class. The output is deterministic.
"""

import argparse
from pathlib import Path

import numpy as np

from mmgab.atomic_file import write_text

# Suffixes of torchvision's ImageFolder.
SUFFIXES = {'.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif', '.tiff', '.webp'}
PARTS = (('train', 0.70), ('val', 0.15), ('test', 0.15))


def find_images(folder: Path, by_name: bool) -> list[tuple[str, str]]:
    """Return path and class of every image below a folder, sorted by class, then by path.

    Args:
        folder: Image folder.
        by_name: Use the part of the file name before the last underscore as the class, as in
            Oxford-IIIT Pet; otherwise the class is the folder of the image.

    Raises:
        FileNotFoundError: If there are no images.
        ValueError: If an image has no class.
    """
    found = []
    for path in sorted(folder.rglob('*')):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith('.'):
            continue
        name = path.relative_to(folder)
        kind = path.stem.rpartition('_')[0] if by_name else name.parent.as_posix()
        if kind in ('', '.'):
            expected = 'CLASS_NUMBER as its name' if by_name else 'CLASS/ as its folder'
            raise ValueError(f'{path} has no class, expected {expected}')
        found.append((name.as_posix(), kind))
    if not found:
        suffixes = ', '.join(sorted(SUFFIXES))
        raise FileNotFoundError(f'no image below {folder.resolve()}, suffixes: {suffixes}')
    return sorted(found, key=lambda image: (image[1], image[0]))


def split(number: int, seed: int = 0) -> dict[str, list[int]]:
    """Split image indices randomly, as the paper's code does."""
    order = np.arange(number)
    np.random.RandomState(seed).shuffle(order)
    ends = np.cumsum([int(number * share) for _, share in PARTS])
    parts = np.split(order, ends)[: len(PARTS)]
    return {name: sorted(part.tolist()) for (name, _), part in zip(PARTS, parts, strict=True)}


def main() -> None:
    """Write the lists and print their sizes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folder', type=Path, help='dataset folder that contains images/')
    parser.add_argument(
        '--by-name', action='store_true', help='read CLASS_NUMBER.jpg instead of CLASS/*.jpg'
    )
    args = parser.parse_args()
    images = find_images(args.folder / 'images', args.by_name)
    classes = sorted({kind for _, kind in images})
    write_text(args.folder / 'classes.txt', ''.join(f'{kind}\n' for kind in classes))
    parts = split(len(images))
    for part, chosen in parts.items():
        lines = [f'{images[i][0]} {classes.index(images[i][1])}\n' for i in chosen]
        write_text(args.folder / f'{part}.txt', ''.join(lines))
        print(f'{part}: {len(lines)} images')
    left = len(images) - sum(map(len, parts.values()))
    if left:
        print(f'unused: {left} images, because sizes are rounded down')
    print(f'{len(classes)} classes, listed in {args.folder / "classes.txt"}')


if __name__ == '__main__':
    main()
