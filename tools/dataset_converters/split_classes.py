"""Split images that lie in one folder for each class into training, validation and test part.

    python tools/dataset_converters/split_classes.py data/caltech101
    python tools/dataset_converters/split_classes.py data/pets --by-name

Looks into FOLDER/images and writes FOLDER/train.txt, val.txt and test.txt, 70, 15 and 15 % of all
images, and FOLDER/classes.txt. The parts are those of the code of arXiv 2305.04722, image by image:
images in the order of torchvision's ImageFolder, shuffled by NumPy's old generator with seed 0,
numbers rounded down. What rounding leaves, at most two images, is in no part. A line is an image's
path below images and the number of its class. The result is the same on every run.
"""

import argparse
from pathlib import Path

import numpy as np

from mmgab.atomic_file import write_text

# Those of torchvision's ImageFolder.
SUFFIXES = {'.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif', '.tiff', '.webp'}
PARTS = (('train', 0.70), ('val', 0.15), ('test', 0.15))


def find_images(folder: Path, by_name: bool) -> list[tuple[str, str]]:
    """Path and class of every image below a folder, sorted by class, then by path.

    Args:
        folder: Where the images are.
        by_name: The class is what stands before the last underscore of an image's name, as in
            Oxford-IIIT Pet; else it is the folder that the image is in.

    Raises:
        FileNotFoundError: If there is no image.
        ValueError: If an image is in no class.
    """
    found = []
    for path in sorted(folder.rglob('*')):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith('.'):
            continue
        name = path.relative_to(folder)
        kind = path.stem.rpartition('_')[0] if by_name else name.parent.as_posix()
        if kind in ('', '.'):
            where = 'before the last underscore of its name' if by_name else 'as its folder'
            raise ValueError(f'{path} is in no class: there is none {where}')
        found.append((name.as_posix(), kind))
    if not found:
        raise FileNotFoundError(f'no image below {folder.resolve()}')
    return sorted(found, key=lambda image: (image[1], image[0]))


def split(number: int, seed: int = 0) -> dict[str, list[int]]:
    """Draw which of so many images are in which part, as the paper's code does."""
    order = np.arange(number)
    np.random.RandomState(seed).shuffle(order)
    ends = np.cumsum([int(number * share) for _, share in PARTS])
    parts = np.split(order, ends)[: len(PARTS)]
    return {name: sorted(part.tolist()) for (name, _), part in zip(PARTS, parts, strict=True)}


def main() -> None:
    """Write the lists and say what is in them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folder', type=Path, help='with a folder images in it')
    parser.add_argument('--by-name', action='store_true', help='class_number.jpg, not class/*.jpg')
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
        print(f'in no part: {left} images, which rounding down leaves over')
    print(f'{len(classes)} classes in {args.folder / "classes.txt"}')


if __name__ == '__main__':
    main()
