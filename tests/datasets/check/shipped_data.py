"""Helpers to damage a copy of the shipped data and to check it."""

import json

import cv2
import numpy as np

from ...cli.runs import call

TOOL = 'tools/misc/check_dataset.py'
INSTANCES = 'configs/mask_rcnn_swin_gab_nuclei.py'
SEMANTICS = 'configs/upernet_swin_gab_nuclei.py'
SQUARE = [[10.0, 10.0, 20.0, 10.0, 20.0, 20.0, 10.0, 20.0]]


def places(config, data):
    """Return the options that set the data root of loaders and evaluators."""
    options = [f'{split}_dataloader.dataset.data_root={data}' for split in ('train', 'val', 'test')]
    if config == INSTANCES:
        annotations = data / 'annotations' / 'instances_val.json'
        options += [f'{split}_evaluator.ann_file={annotations}' for split in ('val', 'test')]
    return options


def check(config, data, out, capsys, monkeypatch, *options):
    """Return the exit code, the findings of each split (count and example by kind), the result."""
    words = [config, '-o', out, '--workers', 2, '--cfg-options', *places(config, data), *options]
    code, output = call(TOOL, words, capsys, monkeypatch)
    result = json.loads((out / 'check.json').read_text())
    found = {
        split['name'].removesuffix('_dataloader'): {
            finding['kind']: (finding['count'], finding['examples'][0])
            for finding in split['found']
        }
        for split in result['splits']
    }
    assert all(kind in output for kinds in found.values() for kind in kinds)
    page = (out / 'check.html').read_text()
    assert all(kind.replace("'", '&#39;') in page for kinds in found.values() for kind in kinds)
    return code, found, result


def edit(data, change):
    """Edit the training annotations; ``change(content)`` edits in place."""
    path = data / 'annotations' / 'instances_train.json'
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def of(index, **values):
    """Return a function that updates one annotation."""
    return lambda content: content['annotations'][index].update(values)


def draw(data, values, index=0):
    """Replace a training label map by one with the given values."""
    path = sorted((data / 'labels' / 'train').iterdir())[index]
    labels = np.resize(np.array(values, np.uint8), (128, 128))
    cv2.imwrite(str(path), labels)
    return path
