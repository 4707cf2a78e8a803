"""Validate the datasets of a config before training.

Builds the datasets of the training, validation and test dataloaders, opens every image and checks
every annotation or label map:
    * files are complete and readable;
    * sizes, boxes, polygons, ids and classes are valid;
    * labels agree with the config, and evaluators with their dataloaders;
    * no image is in two splits;
    * the dataset keeps the images and annotations of its files.
Files above the limits (--max-...) and special files are reported, not read.

Examples:
    mmgab check configs/mask_rcnn_swin_s_gab_coco.py
    mmgab check configs/upernet_swin_s_gab_ade20k.py --workers 16 -o report
    mmgab check CONFIG --score-truth

Output in --out (default: work_dirs/check):
    check.json    all findings: errors and notes, with counts and examples
    check.html    the same as a page
A summary is printed.

Exit codes:
    0    no errors in the data
    1    at least one error in the data
    2    wrong argument or config; one message is printed
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
        help='evaluate the ground truth as predictions; anything below the full score is an error',
    )
    parser.add_argument(
        '--workers', type=positive, help='number of worker processes; default: one per CPU core'
    )
    add_out(
        parser,
        '-o',
        default=Path('work_dirs/check'),
        help='output folder; default: work_dirs/check',
    )
    for name, default, meaning in (
        ('pixels', MAX_PIXELS, 'pixels (width x height) of an image or label map'),
        ('bytes', MAX_BYTES, 'bytes of an image or label map'),
        ('annotation-bytes', annotation_file.MAX_BYTES, 'bytes of an annotation file'),
    ):
        text = f'maximum {meaning}; default: {default}'
        parser.add_argument(f'--max-{name}', type=positive, default=default, metavar='N', help=text)
    add_cfg_options(parser)


def distinct_loaders(config: Config) -> dict[str, list[str]]:
    """Return the dataloaders with distinct datasets, and the evaluators of each.

    The test dataloader often has the dataset of the validation dataloader, with another evaluator.
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
    """Return a summary of the findings, one line each."""
    lines = []
    for split in splits:
        counts = ', '.join(f'{number} {what}' for what, number in split.counts.items())
        lines.append(f'{split.name}: {counts or "nothing"}; {split.errors} errors')
        for found in split.found():
            level = 'ERROR' if found['is_error'] else 'note '
            lines.append(f'  {level} {found["count"]} x {found["kind"]}: {found["examples"][0]}')
    return '\n'.join(lines)


def as_json(config: str, splits: Sequence[Split]) -> Mapping:
    """Return all findings as the content of check.json."""
    return dict(
        config=config,
        errors=sum(split.errors for split in splits),
        splits=[
            dict(name=s.name, counts=s.counts, classes=s.classes, found=s.found()) for s in splits
        ],
    )


def run(args: argparse.Namespace) -> int:
    """Check all dataloaders and return the exit code."""
    config = load_config(args.config, args.cfg_options)
    set_default_scope(config)
    loaders = distinct_loaders(config)
    if not loaders:
        raise ValueError(
            f'{args.config} has no dataset in {", ".join(LOADERS)}; at least one must have one'
        )
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
    """Print a text, escaping characters that the terminal's encoding cannot represent."""
    encoding = sys.stdout.encoding or 'utf-8'
    print(text.encode(encoding, 'backslashreplace').decode(encoding))
