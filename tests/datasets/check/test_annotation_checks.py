"""Annotation checks report each defect of arbitrary files, and nothing for valid ones."""

import json
import math
import os
from collections import Counter
from enum import Enum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco

from mmgab.datasets.check.annotation_file import read_annotations
from mmgab.datasets.check.filtered_instances import skip_reason
from mmgab.datasets.check.image_checks import InspectedImage
from mmgab.datasets.check.instance_checks import check_annotations, check_sizes, count
from mmgab.datasets.check.scored_content import check_scored

CLASSES = ('nucleus', 'cell')
SQUARE = [[10.0, 10.0, 20.0, 10.0, 20.0, 20.0, 10.0, 20.0]]


def content():
    """Return valid content: two images, four annotations, two categories."""
    mask = np.zeros((96, 128), np.uint8, order='F')
    mask[10:20, 10:20] = 1
    compressed = coco.encode(mask)
    masks = [
        SQUARE,
        dict(size=[96, 128], counts=compressed['counts'].decode()),
        dict(size=[96, 128], counts=[10 * 96 + 10, 10, 96 * 118 - 20]),
        SQUARE,
    ]
    annotations = [
        dict(id=index, image_id=index % 2, category_id=1 + index // 2, area=100, iscrowd=0,
             bbox=[10, 10, 10, 10], segmentation=mask)
        for index, mask in enumerate(masks)
    ]  # fmt: skip
    return dict(
        images=[dict(id=i, file_name=f'{i}.png', width=128, height=96) for i in range(2)],
        annotations=annotations,
        categories=[dict(id=1 + i, name=name) for i, name in enumerate(CLASSES)],
    )


def findings(given, tmp_path, has_masks=True):
    """Count the findings by kind for a file with the given content."""
    path = tmp_path / 'annotations.json'
    path.write_text(given if isinstance(given, str) else json.dumps(given), errors='surrogatepass')
    usable, found = read_annotations(path)
    if usable is not None:
        inspected = {
            image['file_name']: InspectedImage('', (128, 96), '', None)
            for image in usable['images']
        }
        found += check_annotations(usable, CLASSES, has_masks)
        found += check_sizes(usable, inspected)
        count(usable, CLASSES)
    return Counter(finding.kind for finding in found)


def changed(place, value):
    """Return the valid content with one value changed, or deleted with ``DELETED``."""
    result = inner = content()
    *path, last = place
    for key in path:
        inner = inner[key]
    if value is DELETED:
        del inner[last]
    else:
        inner[last] = value
    return result


DELETED = Enum('Change', 'DELETED').DELETED
ANNOTATION = ('annotations', 0)
MASK = (*ANNOTATION, 'segmentation')
CODED = ('annotations', 1, 'segmentation')
LISTED = ('annotations', 2, 'segmentation')
LARGE = 10**400
# Values that are invalid as an id, number or size.
WRONG = [None, DELETED, True, [], [1], {}, {'a': 1}, math.nan, math.inf, -math.inf, LARGE]


def test_valid_annotations_have_no_findings(tmp_path):
    assert not findings(content(), tmp_path)
    for value in (0.0, 'a', -3, 2**40):
        given = changed(('images', 0, 'id'), value)
        for index in (0, 2):
            given['annotations'][index]['image_id'] = value
        assert not findings(given, tmp_path)


def kinds(value):
    return type(value).__name__ if value is not DELETED else 'missing'


@pytest.mark.parametrize('value', WRONG, ids=kinds)
@pytest.mark.parametrize(
    ('entries', 'name'),
    [
        ('images', 'id'), ('annotations', 'id'), ('annotations', 'image_id'),
        ('annotations', 'category_id'), ('categories', 'id'),
    ],
)  # fmt: skip
def test_id_of_wrong_type_is_reported(entries, name, value, tmp_path):
    found = findings(changed((entries, 0, name), value), tmp_path)
    assert found[f'{name} of {entries} missing or of the wrong type'] == 1


@pytest.mark.parametrize('value', [*WRONG, 1], ids=kinds)
@pytest.mark.parametrize(('entries', 'name'), [('images', 'file_name'), ('categories', 'name')])
def test_name_of_wrong_type_is_reported(entries, name, value, tmp_path):
    found = findings(changed((entries, 0, name), value), tmp_path)
    assert found[f'{name} of {entries} missing or of the wrong type'] == 1
    assert not any('not unique' in kind for kind in found)


@pytest.mark.parametrize('value', [None, 1, 'text', [], [1], math.nan])
@pytest.mark.parametrize('entries', ['images', 'annotations', 'categories'])
def test_entry_that_is_not_an_object_is_reported(entries, value, tmp_path):
    given = content()
    given[entries].append(value)
    assert findings(given, tmp_path) == {f'entry of {entries} is not a JSON object': 1}


@pytest.mark.parametrize('value', [*WRONG, '128', 0, -1, 2**31], ids=kinds)
@pytest.mark.parametrize('side', ['width', 'height'])
def test_invalid_width_or_height_is_reported(side, value, tmp_path):
    assert findings(changed(('images', 0, side), value), tmp_path) == {
        'image without a valid width and height': 1
    }


@pytest.mark.parametrize('value', [*WRONG, '100'], ids=kinds)
def test_area_of_wrong_type_is_reported(value, tmp_path):
    given = changed((*ANNOTATION, 'area'), value)
    assert findings(given, tmp_path) == {'annotation without a numeric area': 1}


@pytest.mark.parametrize(
    'value',
    [*WRONG, 'box', ['1', '2', '3', '4'], [1, 2, 3], [1, 2, 3, 4, 5], [[1, 2, 3, 4]],
     [True, 1, 1, 1], [math.nan, 1, 1, 1], [1, 1, math.inf, 1], [1, 1, LARGE, 1]],
    ids=str,
)  # fmt: skip
def test_bbox_of_wrong_format_is_reported(value, tmp_path):
    given = changed((*ANNOTATION, 'bbox'), value)
    assert findings(given, tmp_path) == {'bbox is not [x, y, width, height]': 1}


@pytest.mark.parametrize('box', [[1e308] * 4, [1, 1, 10**308, 1], [-1e308, 1, 1e308, 1]])
def test_bbox_that_overflows_is_reported(box, tmp_path):
    found = findings(changed((*ANNOTATION, 'bbox'), box), tmp_path)
    assert len(found) == 1


@pytest.mark.parametrize('value', ['0', '1', 2, [0], {'a': 1}, -1, math.nan])
@pytest.mark.parametrize('flag', ['iscrowd', 'ignore'])
def test_flag_that_is_neither_0_nor_1_is_reported(flag, value, tmp_path):
    given = changed((*ANNOTATION, flag), value)
    assert findings(given, tmp_path) == {f'{flag} is neither 0 nor 1': 1}


@pytest.mark.parametrize('value', [None, False, True, 0, 1, 0.0, DELETED], ids=kinds)
def test_common_iscrowd_values_are_accepted(value, tmp_path):
    assert not findings(changed((*ANNOTATION, 'iscrowd'), value), tmp_path)


@pytest.mark.parametrize('value', [None, DELETED], ids=kinds)
def test_missing_segmentation_is_reported_if_masks_are_read(value, tmp_path):
    given = changed(MASK, value)
    assert findings(given, tmp_path) == {'annotation without segmentation': 1}
    assert not findings(given, tmp_path, has_masks=False)
    given['annotations'][0]['ignore'] = 1
    assert not findings(given, tmp_path)


def test_missing_segmentation_of_an_unused_category_is_ignored(tmp_path):
    given = changed(MASK, None)
    given['categories'].append(dict(id=9, name='other'))
    given['annotations'][0]['category_id'] = 9
    assert findings(given, tmp_path) == {'category is not in the classes of the config': 1}


@pytest.mark.parametrize('value', [[], 1, True, 'text', 0, ''], ids=repr)
def test_segmentation_of_wrong_type_is_reported(value, tmp_path):
    assert findings(changed(MASK, value), tmp_path) == {
        'segmentation is neither polygons nor RLE': 1
    }


@pytest.mark.parametrize(
    'polygon',
    [
        [], [1.0, 2.0], SQUARE[0][:-1], ['1'] * 6, [True] * 6, [None] * 6, SQUARE, 'text', None, 5,
        {'a': 1}, [math.nan, *SQUARE[0][1:]], [math.inf, *SQUARE[0][1:]], [LARGE, *SQUARE[0][1:]],
    ],
    ids=str,
)  # fmt: skip
def test_invalid_polygon_is_reported(polygon, tmp_path):
    given = changed(MASK, [*SQUARE, polygon])
    assert findings(given, tmp_path) == {'polygon is not a list of three or more points': 1}


@pytest.mark.parametrize('number', [1e308, 10**308, 1e200], ids=['float', 'integer', 'square'])
def test_polygon_that_overflows_is_reported(number, tmp_path):
    given = changed(MASK, [[1, 1, number, 1.5, number, number]])
    assert 'polygon extends beyond the image' in findings(given, tmp_path)


@pytest.mark.parametrize('place', [CODED, LISTED], ids=['compressed', 'list'])
@pytest.mark.parametrize(
    'size',
    [
        None, DELETED, [], [96], [96, 128, 1], ['96', '128'], [True, True], [96, None], [0, 128],
        [-96, 128], [96.5, 128], [2**40, 2**40], [LARGE, 128], [math.nan, 128], '96', 96, {},
    ],
    ids=str,
)  # fmt: skip
def test_invalid_rle_size_is_reported(place, size, tmp_path):
    given = changed((*place, 'size'), size)
    assert findings(given, tmp_path) == {'RLE mask cannot be decoded': 1}


@pytest.mark.parametrize(
    'counts',
    [None, DELETED, 5, {}, [-1, 96 * 128 + 1], ['12288'], [12288.5], [[12288]], [math.nan], [LARGE],
     [True] * 12288, 'garbage!', '\x00', 'ü', '\ud800', 'o' * 1000],
    ids=lambda value: str(value)[:20].encode('unicode_escape').decode(),
)  # fmt: skip
def test_invalid_rle_counts_are_reported(counts, tmp_path):
    given = changed((*CODED, 'counts'), counts)
    assert findings(given, tmp_path) == {'RLE mask cannot be decoded': 1}


@pytest.mark.parametrize('counts', [[], '', [12287], [12289], [2**32, 12288], [10, 2**70], '11'])
@pytest.mark.parametrize('place', [CODED, LISTED], ids=['compressed', 'list'])
def test_rle_counts_of_another_size_are_reported(place, counts, tmp_path):
    given = changed((*place, 'counts'), counts)
    assert findings(given, tmp_path) == {'RLE counts do not match the mask size': 1}


def test_changed_rle_string_is_reported(tmp_path):
    code = content()['annotations'][1]['segmentation']['counts']
    for damaged in (code[:-1], code[1:], code + '1', code * 2, code[::-1]):
        found = findings(changed((*CODED, 'counts'), damaged), tmp_path)
        assert found.keys() <= {
            'RLE mask cannot be decoded', 'RLE counts do not match the mask size'
        }  # fmt: skip
        assert found.total() == 1


@pytest.mark.parametrize(
    'text',
    [
        '', ' ', 'nul', '1', '"text"', '[]', 'null', 'true', 'NaN', '{}', '{}{}', '\x00', '\ud800',
        '{"images": {}}', '{"images": 1, "annotations": 2}', '\ufeff{}', '1' * 5000, '[' * 10**5,
        '{"images":' * 10**5,
    ],
    ids=lambda text: text[:12].encode('unicode_escape').decode(),
)  # fmt: skip
def test_file_without_coco_content_is_reported(text, tmp_path):
    assert [kind for kind in findings(text, tmp_path) if 'annotation file' in kind]


def test_missing_coco_lists_are_reported(tmp_path):
    for key in ('images', 'annotations', 'categories'):
        for value in ({}, None, 'text', 3, DELETED):
            found = findings(changed((key,), value), tmp_path)
            if (key, value) == ('annotations', DELETED):  # as in COCO's image_info files
                assert found == {'class without annotations': 2}
            else:
                assert found == {'annotation file is not in COCO format': 1}


def test_deeply_nested_values_are_reported(tmp_path):
    nested = '[' * 600 + ']' * 600
    text = json.dumps(content())
    for value in ('"0.png"', '"nucleus"', '128', '100', json.dumps(SQUARE), '"iscrowd": 0'):
        name = '"iscrowd": ' if 'iscrowd' in value else ''
        assert findings(text.replace(value, name + nested), tmp_path)


def test_unreadable_annotation_file_is_reported(tmp_path):
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'loop').symlink_to('loop')
    (tmp_path / 'endless').symlink_to('/dev/zero')
    os.mkfifo(tmp_path / 'fifo')
    (tmp_path / 'bytes').write_bytes(b'{"images": "\xff"}')
    (tmp_path / 'utf16').write_text(json.dumps(content()), 'utf-16')
    for name in ('folder', 'loop', 'endless', 'fifo', 'missing', 'bytes', 'utf16'):
        usable, found = read_annotations(tmp_path / name)
        assert usable is None
        assert [each.kind for each in found] == ['annotation file cannot be read']


def test_annotation_file_above_max_bytes_is_rejected(tmp_path):
    path = tmp_path / 'file'
    path.touch()
    os.truncate(path, 2**40)
    assert 'exceed max_bytes=' in read_annotations(path)[1][0].detail


def places(inner, path=()):
    """Yield the path of every value in nested lists and dicts."""
    if path:
        yield path
    if isinstance(inner, (dict, list)):
        for key in inner if isinstance(inner, dict) else range(len(inner)):
            yield from places(inner[key], (*path, key))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
    | st.sampled_from([LARGE, 2**63, -(2**31), '\ud800', '1', 'nan']),
    lambda inner: st.lists(inner, max_size=5)
    | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(places(content()), key=str)), VALUES),
        min_size=1,
        max_size=4,
    )
)
def test_arbitrary_values_raise_no_error(tmp_path_factory, changes):
    given = content()
    for (*path, last), value in changes:
        inner = given
        try:
            for key in path:
                inner = inner[key]
            inner[last] = value
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change removed the path
    folder = tmp_path_factory.getbasetemp()
    findings(given, folder)
    usable, _ = read_annotations(folder / 'annotations.json')
    if usable is not None:
        list(check_scored(usable, CLASSES, ['bbox', 'segm']))
        names = {each['id']: each['name'] for each in usable['categories']}
        for annotation in usable['annotations']:
            skip_reason(annotation, usable['images'][0], names, CLASSES)
