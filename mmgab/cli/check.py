"""Check the data of a config before GPUs are booked for it.

    mmgab check configs/mask_rcnn_swin_s_gab_coco.py
    mmgab check configs/upernet_swin_s_gab_ade20k.py --workers 16 -o report

Builds each data set of the training, validation and test loaders as the config says, and compares
what it keeps with its files. Opens every image, and looks at every annotation or label map: whether
files read to the end, sizes, boxes, polygons, ids and classes are sound, labels are those of the
config, evaluators belong to their loaders, and no image of one split is in another. Only regular
files within bounds are read, and whatever they hold is a finding. --score-truth gives the
evaluators the ground truth as predictions, which must get the full score. Writes check.json and
check.html, prints a summary, and exits with 1 where there are errors.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmengine.config import Config

from mmgab.atomic_file import write_text
from mmgab.datasets.check import annotation_file
from mmgab.datasets.check.file_reading import Reading
from mmgab.datasets.check.findings import Split
from mmgab.datasets.check.page import write_page
from mmgab.datasets.check.split_checks import check_leaks, check_loader, check_same_labels
from mmgab.datasets.check.truth_score import score_truth
from mmgab.datasets.image_file import MAX_BYTES, MAX_PIXELS
from mmgab.engine import load_config, set_default_scope

from .arguments import add_out, positive
from .config_arguments import add_cfg_options, add_config

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_config(parser)
    parser.add_argument(
        '--score-truth',
        action='store_true',
        help='feed ground truth to the evaluators as predictions, which must get the full score',
    )
    parser.add_argument('--workers', type=positive, help='processes; one for each core')
    add_out(parser, '-o', default=Path('work_dirs/check'), help='folder for the results')
    for name, default, meaning in (
        ('pixels', MAX_PIXELS, 'width times height of an image or label map'),
        ('bytes', MAX_BYTES, 'size of an image or label map'),
        ('annotation-bytes', annotation_file.MAX_BYTES, 'size of an annotation file'),
    ):
        text = f'{meaning} at most; default: {default}'
        parser.add_argument(f'--max-{name}', type=positive, default=default, metavar='N', help=text)
    add_cfg_options(parser)


def distinct_loaders(config: Config) -> dict[str, list[str]]:
    """Loaders with data of their own, and the evaluators of each.

    The test loader is often the validation loader again; its evaluator may be another one.
    """
    loaders: dict[str, list[str]] = {}
    for name in LOADERS:
        given = config.get(name)
        if not given or not given.get('dataset'):
            continue
        same = [other for other in loaders if config[other].dataset == given.dataset]
        evaluators = loaders.setdefault((same or [name])[0], [])
        evaluator = name.replace('dataloader', 'evaluator')
        if config.get(evaluator) and all(config[each] != config[evaluator] for each in evaluators):
            evaluators.append(evaluator)
    return loaders


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


def run(args: argparse.Namespace) -> int:
    """Check all loaders; returns the exit code."""
    config = load_config(args.config, args.cfg_options)
    set_default_scope(config)
    loaders = distinct_loaders(config)
    if not loaders:
        raise ValueError(f'{args.config} has no data set in any of {", ".join(LOADERS)}')
    args.out.mkdir(parents=True, exist_ok=True)
    reading = Reading(args.workers, args.max_bytes, args.max_pixels, args.max_annotation_bytes)
    splits = [check_loader(config, name, reading, loaders[name]) for name in loaders]
    for split in splits[1:]:
        training = [other for other in splits if other.name == 'train_dataloader']
        check_leaks(split, training)
        check_same_labels(split, training)
    for split in splits if args.score_truth else ():
        split.add(score_truth(config, split.name, loaders[split.name]))
    result = as_json(args.config, splits)
    write_text(args.out / 'check.json', json.dumps(result, indent=2) + '\n')
    write_page(result, args.out / 'check.html')
    show(summary(splits))
    show(f'Written to {args.out / "check.json"} and {args.out / "check.html"}')
    return int(bool(result['errors']))


def show(text: str) -> None:
    """Print a text, with escapes for what the terminal's encoding does not have."""
    encoding = sys.stdout.encoding or 'utf-8'
    print(text.encode(encoding, 'backslashreplace').decode(encoding))
