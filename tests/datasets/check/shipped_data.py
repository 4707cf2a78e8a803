"""The shipped data, what damages a copy of it, and the check of it."""

import json

import cv2
import numpy as np

from ...cli.runs import call

TOOL = 'tools/misc/check_dataset.py'
INSTANCES = 'configs/mask_rcnn_swin_gab_nuclei.py'
SEMANTICS = 'configs/upernet_swin_gab_nuclei.py'
SQUARE = [[10.0, 10.0, 20.0, 10.0, 20.0, 20.0, 10.0, 20.0]]


def places(config, data):
    """Options that say where the data are, also to the evaluators that read them."""
    options = [f'{split}_dataloader.dataset.data_root={data}' for split in ('train', 'val', 'test')]
    if config == INSTANCES:
        annotations = data / 'annotations' / 'instances_val.json'
        options += [f'{split}_evaluator.ann_file={annotations}' for split in ('val', 'test')]
    return options


def check(config, data, out, capsys, monkeypatch, *options):
    """Exit code, and how often each kind of finding is there: a dict for each split."""
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
    """Change the training annotations; ``change(content, by_image)`` edits in place."""
    path = data / 'annotations' / 'instances_train.json'
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def of(index, **values):
    """A change of one annotation."""
    return lambda content: content['annotations'][index].update(values)


def draw(data, values, index=0):
    """Replace a training label map by one with these values."""
    path = sorted((data / 'labels' / 'train').iterdir())[index]
    labels = np.resize(np.array(values, np.uint8), (128, 128))
    cv2.imwrite(str(path), labels)
    return path
