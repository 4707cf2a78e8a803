"""Split one COCO annotation file by image into training and validation annotations.

    python tools/dataset_converters/split_coco.py labels.json -o data/my_data

Labelling tools export one file for all images. This writes OUT/train.json and OUT/val.json: every
image is in exactly one of them, with all of its annotations; categories and all other entries are
in both. Images stay where they are. They are drawn at random with --seed, so that the output is
deterministic. Images that resemble each other (frames of a video, tiles of a photograph) should be
in one split: split those by hand.
"""

import argparse
import json
import random
from collections.abc import Mapping
from pathlib import Path

from mmgab.atomic_file import write_text
from mmgab.datasets.check.annotation_file import read_annotations


def split(content: Mapping, share: float, seed: int = 0) -> dict[str, dict]:
    """Split annotations by image.

    Args:
        content: A COCO annotation file.
        share: Part of the images for validation, between 0 and 1; at least one image is in each
            split.
        seed: Seed of the random draw.

    Returns:
        The content of the training and of the validation annotations, with images and annotations
        in the order of the file.

    Raises:
        ValueError: If there are fewer than 2 images, or an annotation's image is missing.
    """
    ids = {image['id'] for image in content['images']}
    if len(ids) < 2:
        raise ValueError(f'{len(ids)} images, at least 2 are needed for a split')
    for annotation in content['annotations']:
        if annotation['image_id'] not in ids:
            raise ValueError(
                f'annotation {annotation["id"]}: image_id {annotation["image_id"]} is not the id '
                'of an image'
            )
    drawn = random.Random(seed).sample(sorted(ids), len(ids))
    number = min(max(round(share * len(drawn)), 1), len(drawn) - 1)
    return {
        name: {
            **content,
            'images': [image for image in content['images'] if image['id'] in chosen],
            'annotations': [a for a in content['annotations'] if a['image_id'] in chosen],
        }
        for name, chosen in (('train', set(drawn[number:])), ('val', set(drawn[:number])))
    }


def main() -> None:
    """Write both files and print their sizes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('annotations', type=Path, help='annotation file in COCO format')
    parser.add_argument('-o', '--out', type=Path, required=True, help='output folder')
    parser.add_argument(
        '--val', type=float, default=0.2, help='part of the images for validation (default: 0.2)'
    )
    parser.add_argument('--seed', type=int, default=0, help='seed of the draw (default: 0)')
    args = parser.parse_args()
    if not 0 < args.val < 1:
        parser.error(f'--val {args.val}: expected a number between 0 and 1')
    _, findings = read_annotations(args.annotations)
    if findings:
        parser.error(f'{findings[0].kind}: {findings[0].detail}')
    try:
        parts = split(json.loads(args.annotations.read_bytes()), args.val, args.seed)
    except ValueError as error:
        parser.error(f'{args.annotations}: {error}')
    for name in parts:
        if (args.out / f'{name}.json').exists():
            parser.error(f'{args.out / f"{name}.json"} exists and is not overwritten')
    args.out.mkdir(parents=True, exist_ok=True)
    for name, content in parts.items():
        write_text(args.out / f'{name}.json', json.dumps(content))
        print(f'{name}: {len(content["images"])} images, {len(content["annotations"])} annotations')


if __name__ == '__main__':
    main()
