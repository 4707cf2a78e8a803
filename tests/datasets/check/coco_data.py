"""Small datasets in COCO format with two classes, and a config that reads them."""

import json
from pprint import pformat

import numpy as np
from PIL import Image

from ...cli.runs import call

TOOL = 'tools/misc/check_dataset.py'
CLASSES = ('cat', 'dog')
SIZE = (80, 64)  # width, height
BOXES = [(4, 4, 20, 20), (40, 30, 16, 24)]  # of a cat and a dog in every image
IMAGES = dict(train=3, val=2)


def annotations(split):
    """Return the content of a valid annotation file."""
    images = [
        dict(id=10 * (split == 'val') + i, file_name=f'{split}_{i}.png', width=80, height=64)
        for i in range(1, IMAGES[split] + 1)
    ]
    found = []
    for image in images:
        for category, (x, y, w, h) in enumerate(BOXES, 1):
            ring = [float(v) for v in (x, y, x + w, y, x + w, y + h, x, y + h)]
            found.append(
                dict(id=len(found) + 1, image_id=image['id'], category_id=category,
                     bbox=[x, y, w, h], area=w * h, iscrowd=0, segmentation=[ring])
            )  # fmt: skip
    categories = [dict(id=i, name=name) for i, name in enumerate(CLASSES, 1)]
    return dict(images=images, annotations=found, categories=categories)


def pipeline(**loads):
    """Return a minimal pipeline of a detector."""
    loads = dict(with_bbox=True, with_mask=True) | loads
    return [
        dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', **loads),
        dict(type='PackDetInputs'),
    ]  # fmt: skip


def loader(folder, split, **settings):
    """Return the settings of a data loader."""
    dataset = dict(
        type='CocoDataset', data_root=str(folder), ann_file=f'{split}.json',
        data_prefix=dict(img=split), metainfo=dict(classes=CLASSES), pipeline=pipeline(),
        test_mode=split == 'val',
    )  # fmt: skip
    sampler = dict(type='DefaultSampler', shuffle=False)
    return dict(batch_size=1, num_workers=0, sampler=sampler, dataset=dataset | settings)


def write(folder, **contents):
    """Write images and annotation files; ``train`` and ``val`` replace their content."""
    draw = np.random.default_rng(0)
    for split in IMAGES:
        content = contents.get(split, annotations(split))
        (folder / f'{split}.json').write_text(json.dumps(content))
        (folder / split).mkdir(exist_ok=True)
        for i in range(1, IMAGES[split] + 1):
            pixels = draw.integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)
            Image.fromarray(pixels).save(folder / split / f'{split}_{i}.png')


def settings(folder, **changes):
    """Return a config with train and val loaders, and CocoMetric for bbox and segm."""
    evaluator = dict(type='CocoMetric', ann_file=f'{folder}/val.json', metric=['bbox', 'segm'])
    return dict(
        default_scope='mmdet', train_dataloader=loader(folder, 'train'),
        val_dataloader=loader(folder, 'val'), val_evaluator=evaluator,
    ) | changes  # fmt: skip


def check(folder, capsys, monkeypatch, **changes):
    """Check a config; return the findings of each split (examples by kind) and the JSON result."""
    config, out = folder / 'config.py', folder / 'out'
    lines = (f'{key} = {pformat(value)}' for key, value in settings(folder, **changes).items())
    config.write_text('\n'.join(lines))
    code, output = call(TOOL, [config, '-o', out, '--workers', 1], capsys, monkeypatch)
    assert 'Traceback' not in output
    result = json.loads((out / 'check.json').read_text())
    assert code == int(bool(result['errors']))
    return [
        {
            level: {each['kind']: each['examples'] for each in split['found']
                    if each['is_error'] == (level == 'errors')}
            for level in ('errors', 'notes')
        }
        for split in result['splits']
    ], result  # fmt: skip


def edited(split, **values):
    """Return the annotations of a split, all updated with the given values."""
    content = annotations(split)
    for annotation in content['annotations']:
        annotation.update(values)
    return content


def without(split, key):
    """Return the annotations of a split, all without a key."""
    content = annotations(split)
    for annotation in content['annotations']:
        del annotation[key]
    return content


def order(split, *ids):
    """Return the annotations of a split with the given category ids, in this order."""
    content = annotations(split)
    content['categories'] = [content['categories'][i - 1] for i in ids]
    return content
