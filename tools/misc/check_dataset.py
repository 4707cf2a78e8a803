"""Check the data of a config before GPUs are booked for it.

    python tools/misc/check_dataset.py configs/mask_rcnn_swin_s_gab_coco.py
    python tools/misc/check_dataset.py configs/upernet_swin_s_gab_ade20k.py --workers 16 -o report

Opens every image, and looks at every annotation or label map of the training, validation and test
loaders: whether files read to the end, sizes, boxes, polygons, ids and classes are sound, labels
are those of the config, and no image of one split is in another. Writes check.json and check.html,
prints a summary, and exits with 1 where there are errors.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from check_page import write_page
from findings import Finding, Split
from image_checks import Looked, look
from instance_checks import check_annotations, check_sizes, count, read_annotations
from mmengine.config import Config, DictAction
from mmengine.registry import DATASETS, init_default_scope
from semantic_checks import (
    check_labels,
    look_at_labels,
    missing_classes,
    pixels_of_classes,
    renamed,
)
from tqdm import tqdm

from mmgab.engine import load_config
from mmgab.engine.preflight import leaf_datasets

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
Map = Callable[[Callable, Sequence[str], str], list]


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('--workers', type=int, help='processes; one for each core')
    parser.add_argument(
        '-o', '--out', type=Path, default=Path('work_dirs/check'), help='folder for the results'
    )
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE')
    args = parser.parse_args()
    if args.workers is not None and args.workers < 1:
        parser.error(f'--workers must be at least 1, got {args.workers}')
    return args


def check_instances(split: Split, dataset: object, run: Map, has_masks: bool) -> None:
    """Check a data set in COCO's layout."""
    content, findings = read_annotations(Path(dataset.ann_file))
    split.add(findings)
    if content is None:
        return
    classes = dataset.metainfo['classes']
    folder = dataset.data_prefix.get('img', '')
    names = [str(image.get('file_name')) for image in content['images']]
    paths = [str(Path(folder, name)) for name in names]
    looked = dict(zip(names, run(look, paths, split.name), strict=True))
    _add_images(split, looked.values())
    split.add(check_annotations(content, classes, has_masks))
    split.add(check_sizes(content, looked))
    counts, of_class = count(content, classes)
    split.counts.update(counts)
    split.classes.update(of_class)


def check_semantics(split: Split, dataset: object, run: Map) -> None:
    """Check a data set of images and label maps."""
    dataset.full_init()
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    images = run(look, [info['img_path'] for info in infos], split.name)
    _add_images(split, images)
    labelled = [info['seg_map_path'] for info in infos if info.get('seg_map_path')]
    maps = run(look_at_labels, labelled, f'{split.name}, labels')
    classes = dataset.metainfo['classes']
    settings = (len(classes), bool(dataset.reduce_zero_label), dataset.ignore_index)
    maps = [renamed(found, dataset.label_map, int(settings[1])) for found in maps]
    split.add(check_labels(maps, *settings))
    if maps and len(maps) == len(images):
        for image, labels in zip(images, maps, strict=True):
            if None not in (image.size, labels.size) and image.size != labels.size:
                detail = f'{labels.path}: {labels.size}, the image has {image.size}'
                split.add([Finding('label map of another size', detail)])
    pixels = pixels_of_classes(maps, classes, settings[1])
    split.add(missing_classes(pixels))
    split.counts.update({'images': len(images), 'label maps': len(maps)})
    split.classes.update(pixels)


def _add_images(split: Split, images: Iterable[Looked]) -> None:
    """Note which images cannot be read, and which are twice in a split."""
    by_digest: dict[str, str] = {}
    for image in images:
        if image.problem is not None:
            split.add([Finding('image that cannot be read', f'{image.path}: {image.problem}')])
        if not image.digest:
            continue
        split.hashes[image.path] = image.digest
        first = by_digest.setdefault(image.digest, image.path)
        if first != image.path:
            split.add([Finding('image that is there twice', f'{image.path} is {first}', False)])


def check_leaks(split: Split, others: Sequence[Split]) -> None:
    """Note images that a split shares with the training set."""
    for other in others:
        by_digest = {digest: path for path, digest in other.hashes.items()}
        for path, digest in split.hashes.items():
            if digest in by_digest:
                detail = f'{path} is {by_digest[digest]} of {other.name}'
                split.add([Finding('image of the training set', detail)])


def check_loader(config: Config, name: str, run: Map) -> Split:
    """Check the data sets of a loader, whatever wraps them."""
    split = Split(name)
    for settings in leaf_datasets(config[name].dataset):
        try:
            dataset = DATASETS.build({**settings, 'pipeline': [], 'lazy_init': True})
        except (OSError, ValueError, TypeError, KeyError) as error:
            split.add([Finding('data set that cannot be built', f'{settings["type"]}: {error}')])
            continue
        if str(dataset.ann_file).endswith('.json'):
            has_masks = any(step.get('with_mask') for step in settings.get('pipeline', []))
            check_instances(split, dataset, run, has_masks)
        elif hasattr(dataset, 'reduce_zero_label'):
            check_semantics(split, dataset, run)
        else:
            kind = type(dataset).__name__
            split.add([Finding('data set of a kind that is not checked', kind, is_error=False)])
    return split


def distinct_loaders(config: Config) -> list[str]:
    """Loaders with data of their own: the test loader is often the validation loader again."""
    names: list[str] = []
    for name in LOADERS:
        given = config.get(name)
        if given and all(given.dataset != config[other].dataset for other in names):
            names.append(name)
    return names


def summary(splits: Sequence[Split]) -> str:
    """What was found, in some lines."""
    lines = []
    for split in splits:
        counts = ', '.join(f'{number} {what}' for what, number in split.counts.items())
        lines.append(f'{split.name}: {counts or "nothing"}; {split.errors} errors')
        for found in split.found():
            level = 'ERROR' if found['is_error'] else 'note '
            lines.append(f'  {level} {found["count"]} x {found["kind"]}: {found["examples"][0]}')
    return '\n'.join(lines)


def as_json(config: str, splits: Sequence[Split]) -> Mapping:
    """Everything that was found."""
    return dict(
        config=config,
        errors=sum(split.errors for split in splits),
        splits=[
            dict(name=s.name, counts=s.counts, classes=s.classes, found=s.found()) for s in splits
        ],
    )


def main() -> int:
    """Check all loaders; returns the exit code."""
    args = parse_args()
    config = load_config(args.config, args.cfg_options)
    init_default_scope(config.get('default_scope', 'mmengine'))
    with ProcessPoolExecutor(args.workers) as pool:

        def run(function: Callable, paths: Sequence[str], title: str) -> list:
            results = pool.map(function, paths, chunksize=16)
            return list(tqdm(results, title, len(paths), unit='file', leave=False))

        splits = [check_loader(config, name, run) for name in distinct_loaders(config)]
    for split in splits[1:]:
        check_leaks(split, [other for other in splits if other.name == 'train_dataloader'])
    result = as_json(args.config, splits)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / 'check.json').write_text(json.dumps(result, indent=2) + '\n')
    write_page(result, args.out / 'check.html')
    print(summary(splits))
    print(f'Written to {args.out / "check.json"} and {args.out / "check.html"}')
    return int(bool(result['errors']))


if __name__ == '__main__':
    sys.exit(main())
