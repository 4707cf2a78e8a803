"""List the configs of this package by task, data set and backbone, with model sizes and scores.

Examples:
    mmgab list
    mmgab list --task detection --backbone swin-s
    mmgab list --data nuclei --json

Output: a table for each task. Parameters are those of the complete model. GFLOPs are those of the
backbone for one image of the given height x width; a multiply and an add are two operations. Every
score has a number that refers to its source: a publication, or a measurement of this project.
With --json: a list of objects, one for each config.

Exit codes:
    0    the matching configs were listed, or none matches
    2    unknown task, data set or backbone; one message is printed
"""

import argparse
import json
from pathlib import Path
from typing import NamedTuple

from .mistakes import CommandError

METAFILE = Path(__file__).parents[1] / '.mim' / 'configs' / 'metafile.yml'
TASKS = {
    'detection': ('Object Detection', 'Instance Segmentation'),
    'segmentation': ('Semantic Segmentation',),
    'classification': ('Image Classification',),
}
DATA_SETS = {
    'coco': 'COCO 2017',
    'ade20k': 'ADE20K',
    'imagenet': 'ImageNet-1K',
    'nuclei': 'StarDist 2-D example',
    'caltech101': 'Caltech-101',
    'cars': 'Stanford Cars',
    'dogs': 'Stanford Dogs',
    'pets': 'Oxford-IIIT Pet',
}
_HEADER = ('config', 'data', 'backbone', 'params', 'GFLOPs', 'image', 'score [source]')
_RIGHT = {'params', 'GFLOPs', 'image'}  # columns of numbers


class Score(NamedTuple):
    """A score of a config.

    Attributes:
        text: Metrics and values.
        source: Where the score is from.
        detail: Conditions, or the name of the model at the source; may be empty.
    """

    text: str
    source: str
    detail: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument('--task', choices=list(TASKS), help='list configs of this task only')
    parser.add_argument(
        '--data',
        choices=list(DATA_SETS),
        metavar='NAME',
        help=f'list configs of this data set only: {", ".join(DATA_SETS)}',
    )
    parser.add_argument(
        '--backbone',
        metavar='NAME',
        help='list configs of this backbone only: a variant such as swin-s, or swin or vit',
    )
    parser.add_argument('--json', action='store_true', help='print JSON')


def run(args: argparse.Namespace) -> None:
    """Print the configs that match all filters."""
    configs = read_configs()
    if args.backbone:
        check_backbone(args.backbone, configs)
    found = [config for config in configs if matches(config, args)]
    if args.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    elif found:
        print(format_configs(found))
    else:
        print('No config matches all filters. Run mmgab list without options for all configs.')


def read_configs(metafile: Path = METAFILE) -> list[dict]:
    """Read the configs of a metafile.

    Args:
        metafile: Model index as ``python -m projects.metafile`` writes it.

    Returns:
        Name, size and scores of each config, by task and name.
    """
    import yaml

    loader = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)  # the C loader is ten times faster
    entries = yaml.load(metafile.read_text(encoding='utf-8'), loader)['Models']
    configs = [_config_of(entry) for entry in entries]
    return sorted(configs, key=lambda config: (list(TASKS).index(config['task']), config['name']))


def _config_of(entry: dict) -> dict:
    facts = entry['Metadata']
    data = {full: short for short, full in DATA_SETS.items()}
    return dict(
        name=entry['Name'],
        config=f'mmgab::{entry["Name"]}.py',
        task=next(task for task, names in TASKS.items() if facts['Task'] in names),
        data=data[facts['Training Data']],
        architecture=facts['Architecture'],
        backbone=facts['Backbone'],
        parameters=facts['Parameters'],
        flops=facts['FLOPs'],
        image_size=[int(side) for side in facts['Image Size'].split(' x ')],
        epochs=facts.get('Epochs'),
        iterations=facts.get('Iterations'),
        batch_size=facts['Batch Size'],
        reported=[_lower_keys(score) for score in entry.get('Reported', [])],
        results=[_lower_keys(score) for score in entry.get('Results', [])],
    )


def _lower_keys(score: dict) -> dict:
    return {key.lower().replace(' ', '_'): value for key, value in score.items()}


def check_backbone(name: str, configs: list[dict]) -> None:
    """Check that a backbone exists.

    Raises:
        CommandError: If no config has this backbone.
    """
    variants = {config['backbone'].lower() for config in configs}
    allowed = sorted({*variants, *(variant.split('-')[0] for variant in variants)})
    if name.lower() not in allowed:
        raise CommandError(f'--backbone {name}: must be one of {", ".join(allowed)}')


def matches(config: dict, args: argparse.Namespace) -> bool:
    """Return True if a config passes all filters."""
    backbone = config['backbone'].lower()
    return (
        args.task in (None, config['task'])
        and args.data in (None, config['data'])
        and (not args.backbone or args.backbone.lower() in (backbone, backbone.split('-')[0]))
    )


def scores_of(config: dict) -> list[Score]:
    """Return the scores of a config: reported ones, then those measured in this project."""
    scores = []
    for score in config['reported']:
        detail = score.get('source_model') or score.get('note') or ''
        source = f'reported by {score["source"]}, not re-run here'
        scores.append(Score(_metrics(score), source, detail))
    if config['results']:
        text = ', '.join(map(_metrics, config['results']))
        notes = [score['note'] for score in config['results'] if 'note' in score]
        scores.append(Score(text, 'measured in this project', '; '.join(notes)))
    return scores


def _metrics(score: dict) -> str:
    return ', '.join(f'{name} {value}' for name, value in score['metrics'].items())


def format_configs(configs: list[dict]) -> str:
    """Format configs as one table for each task, with the sources of the scores below."""
    sources: list[str] = []
    lines = []
    for task in TASKS:
        rows = [_row(config, sources) for config in configs if config['task'] == task]
        if rows:
            lines += [f'{task}: {len(rows)} configs', *_table([_HEADER, *rows]), '']
    lines += [f'[{number}] {source}' for number, source in enumerate(sources, 1)]
    example = f'mmgab train {configs[0]["config"]}'
    lines.append(f'Use a config as mmgab::NAME.py, for example: {example}')
    return '\n'.join(lines)


def gigaflops(config: dict) -> str:
    """Format the FLOPs of a backbone."""
    value = config['flops'] / 1e9
    return f'{value:.1f}' if value >= 10 else f'{value:.2f}'


def number_of(source: str, sources: list[str]) -> int:
    """Return the number of a source, counted from 1; a new one is appended to ``sources``."""
    if source not in sources:
        sources.append(source)
    return sources.index(source) + 1


def _row(config: dict, sources: list[str]) -> tuple[str, ...]:
    """Return the cells of a config; new sources of its scores are appended to ``sources``."""
    cells = []
    for text, source, _ in scores_of(config):
        cells.append(f'{text} [{number_of(source, sources)}]')
    height, width = config['image_size']
    return (
        config['name'],
        config['data'],
        config['backbone'],
        f'{config["parameters"] / 1e6:.1f} M',
        gigaflops(config),
        f'{height}x{width}',
        '; '.join(cells),
    )


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    """Align the columns of a table; the first row is its header."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if title in _RIGHT else cell.ljust(width)
            for cell, width, title in zip(row, widths, _HEADER, strict=True)
        ]
        lines.append('  '.join(cells).rstrip())
    return lines
