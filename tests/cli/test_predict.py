"""``mmgab predict``: the numbers of tools/test.py, from images, folders and videos."""

import json
import os
import pickle

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from mmgab.cli.commands import main

from ..conftest import run_tool
from ..prediction.test_inputs import write_video
from .runs import DETECTION, options

pytestmark = [pytest.mark.slow, pytest.mark.process, pytest.mark.filterwarnings('ignore')]

BOXES = 'mask_rcnn_swin_gab_nuclei'
PIXELS = 'upernet_swin_gab_nuclei'


@pytest.fixture(scope='module')
def tested_detector(nuclei, detector, tmp_path_factory):
    """Predictions of the detector, as tools/test.py keeps them."""
    work_dir = tmp_path_factory.mktemp('tested_detector')
    run_tool(
        'tools/test.py', f'configs/{BOXES}.py', detector / 'epoch_1.pth', '--work-dir', work_dir,
        '--out', work_dir / 'predictions.pkl', *options(nuclei, DETECTION),
    )  # fmt: skip
    return pickle.loads((work_dir / 'predictions.pkl').read_bytes())


@pytest.fixture
def predict(detector, segmentor, tmp_path, capsys):
    """Run ``mmgab predict`` in this process; returns exit code, output folder and messages."""
    out = tmp_path / 'out'

    def run(kind, *words, checkpoint=None):
        folder, name, file = (
            (detector, BOXES, 'epoch_1.pth')
            if kind == 'boxes'
            else (segmentor, PIXELS, 'iter_3.pth')
        )
        arguments = (folder / f'{name}.py', checkpoint or folder / file, *words, '-o', out)
        try:
            code = main(['predict', *map(str, arguments), '--device', 'cpu'])
        except SystemExit as exit:
            code = exit.code
        return code, out, ''.join(capsys.readouterr())

    return run


def read(out):
    return json.loads((out / 'predictions.json').read_text())


def label_map(path):
    return np.asarray(Image.open(path))


@pytest.mark.parametrize('batch', [1, 3])
def test_instances_equal_test_tool(batch, predict, tested_detector, nuclei):
    images = nuclei / 'images' / 'val'
    code, out, messages = predict('boxes', images, '--score', 0, '--batch-size', batch)
    assert code == 0, messages
    found = read(out)
    truth = COCO(str(nuclei / 'annotations' / 'instances_val.json'))
    assert len(found['images']) == len(tested_detector) > 1
    for expected in tested_detector:
        file = truth.loadImgs(expected['img_id'])[0]['file_name']
        (image,) = [one for one in found['images'] if one['file_name'] == file]
        own = [one for one in found['annotations'] if one['image_id'] == image['id']]
        instances = expected['pred_instances']
        assert len(own) == len(instances['scores']) > 0
        scores = torch.tensor([one['score'] for one in own])
        torch.testing.assert_close(scores, instances['scores'], rtol=0, atol=1e-5)
        boxes = torch.tensor([one['bbox'] for one in own])
        boxes[:, 2:] += boxes[:, :2]
        torch.testing.assert_close(boxes, instances['bboxes'], rtol=0, atol=1e-2)
        assert [one['category_id'] - 1 for one in own] == instances['labels'].tolist()
        if batch == 1:
            assert [one['segmentation']['counts'] for one in own] == [
                rle['counts'].decode() if isinstance(rle['counts'], bytes) else rle['counts']
                for rle in instances['masks']
            ]


@pytest.mark.parametrize('batch', [1, 3])
def test_label_maps_equal_test_tool(batch, predict, tested_segmentor, nuclei):
    code, out, messages = predict('pixels', nuclei / 'images' / 'val', '--batch-size', batch)
    assert code == 0, messages
    expected = sorted((tested_segmentor / 'maps').glob('*.png'))
    assert len(expected) > 1
    for path in expected:
        np.testing.assert_array_equal(label_map(out / 'labels' / path.name), label_map(path))
        assert (out / 'vis' / path.name).is_file()


def test_results_load_in_coco(predict, nuclei):
    _, out, _ = predict('boxes', nuclei / 'images' / 'val', '--score', 0.05)
    coco = COCO(str(out / 'predictions.json'))
    loaded = coco.loadRes(read(out)['annotations'])
    annotation = loaded.dataset['annotations'][0]
    assert coco.loadCats(annotation['category_id'])[0]['name'] == 'nucleus'
    assert coco_mask.decode(annotation['segmentation']).any()


def test_score_and_classes_filter_predictions(predict, nuclei):
    image = next((nuclei / 'images' / 'val').iterdir())
    _, out, _ = predict('boxes', image, '--score', 0)
    scores = sorted(one['score'] for one in read(out)['annotations'])
    middle = scores[len(scores) // 2]
    _, out, _ = predict('boxes', image, '--score', middle)
    assert sorted(one['score'] for one in read(out)['annotations']) == [
        score for score in scores if score >= middle
    ]
    _, out, _ = predict('pixels', image, '--classes', 'nucleus')
    assert set(np.unique(label_map(out / 'labels' / image.name))) <= {1, 255}
    code, _, messages = predict('pixels', image, '--classes', 'cell')
    assert code == 2
    assert '--classes cell: the model has no such class; it has background, nucleus' in messages
    code, _, messages = predict('pixels', image, '--score', '0.5')
    assert code == 2
    assert '--score' in messages


def test_unreadable_images_are_reported_and_skipped(predict, nuclei, tmp_path):
    good = next((nuclei / 'images' / 'val').iterdir())
    bad = tmp_path / 'bad'
    bad.mkdir()
    (bad / 'good.png').write_bytes(good.read_bytes())
    (bad / 'empty.png').touch()
    (bad / 'text.png').write_text('no image')
    (bad / 'torn.png').write_bytes(good.read_bytes()[:200])
    os.mkfifo(bad / 'fifo.png')
    (bad / 'gone.png').symlink_to('nowhere.png')
    code, out, messages = predict('pixels', bad)
    assert code == 1
    for name in ('empty', 'text', 'torn', 'fifo', 'gone'):
        assert f'skipped: {bad / name}.png: ' in messages
    assert [path.name for path in (out / 'labels').iterdir()] == ['good.png']
    assert '5 images could not be read' in messages


@pytest.mark.parametrize('word', ['nowhere.png', 'empty', '*.gif'])
def test_empty_input_raises_before_model_is_built(word, predict, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'empty').mkdir()
    code, out, messages = predict('pixels', word, checkpoint='nowhere.pth')
    assert code == 2
    assert f'input {word}' in messages
    assert not out.exists()


@pytest.mark.parametrize('kind', ['boxes', 'pixels'])
def test_video_is_predicted_frame_by_frame(kind, predict, tmp_path):
    clip = write_video(tmp_path / 'clip.avi', 4)
    code, out, messages = predict(kind, clip, '--batch-size', 3)
    assert code == 0, messages
    capture = cv2.VideoCapture(str(out / 'vis' / 'clip.mp4'))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 4
    assert capture.get(cv2.CAP_PROP_FPS) == 10
    if kind == 'boxes':
        names = [image['file_name'] for image in read(out)['images']]
        assert names == [f'clip.avi#{index}' for index in range(4)]
    else:
        assert len(list((out / 'labels' / 'clip').iterdir())) == 4


def rotated(path, array):
    """A JPEG that is stored lying and shown upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(array)).save(path, exif=exif, quality=100, subsampling=0)


def grey(path, array):
    Image.fromarray(array[..., 0]).save(path)


def transparent(path, array):
    Image.fromarray(np.dstack([array, np.full_like(array[..., :1], 9)])).save(path)


def sixteen_bit(path, array):
    cv2.imwrite(str(path), array[..., 0].astype(np.uint16) * 257)


@pytest.mark.parametrize(
    ('write', 'suffix'), [(rotated, '.jpg'), (grey, '.png'), (transparent, '.png'),
                          (sixteen_bit, '.png')],
)  # fmt: skip
def test_image_is_decoded_as_in_training(write, suffix, predict, nuclei, tmp_path):
    """Rotated, without colours, without transparency, with 8 bits: as OpenCV reads in colour."""
    source = next((nuclei / 'images' / 'val').iterdir())
    array = np.asarray(Image.open(source).convert('RGB'))[:100]
    write(tmp_path / f'other{suffix}', array)
    Image.fromarray(cv2.imread(str(tmp_path / f'other{suffix}'))[..., ::-1]).save(
        tmp_path / 'same.png'
    )
    code, out, messages = predict('pixels', tmp_path / f'other{suffix}', tmp_path / 'same.png')
    assert code == 0, messages
    found, expected = (label_map(out / 'labels' / f'{name}.png') for name in ('other', 'same'))
    np.testing.assert_array_equal(found, expected)
    assert found.shape == array.shape[:2]


def test_onnx_graph_gives_same_label_maps(predict, segmentor, nuclei, tmp_path):
    pytest.importorskip('onnxruntime', reason='ONNX is an extra: requirements/deployment.txt')
    images = nuclei / 'images' / 'val'
    height, width = label_map(next(images.iterdir())).shape
    graph = tmp_path / 'upernet.onnx'
    words = ('export', segmentor / f'{PIXELS}.py', segmentor / 'iter_3.pth', '--out', graph,
             '--size', height, width)  # fmt: skip
    assert main([*map(str, words)]) == 0
    _, out, _ = predict('pixels', images)
    expected = {path.name: label_map(path) for path in (out / 'labels').iterdir()}
    code, out, messages = predict('pixels', images, checkpoint=graph)
    assert code == 0, messages
    for name, labels in expected.items():
        np.testing.assert_array_equal(label_map(out / 'labels' / name), labels)
    Image.new('RGB', (50, 40)).save(tmp_path / 'small.png')
    code, _, messages = predict('pixels', tmp_path / 'small.png', checkpoint=graph)
    assert code == 2
    assert f'exported for images of {height} x {width} pixels' in messages
    code, _, messages = predict('boxes', images, checkpoint=graph)
    assert code == 2
    assert 'give its checkpoint' in messages


def test_class_names_fall_back_to_config(predict, segmentor, nuclei, tmp_path):
    image = next((nuclei / 'images' / 'val').iterdir())
    weights = torch.load(segmentor / 'iter_3.pth', weights_only=False)['state_dict']
    torch.save(dict(state_dict=weights), tmp_path / 'weights.pth')
    words = ('pixels', image, '--classes', 'nucleus')
    assert predict(*words, checkpoint=tmp_path / 'weights.pth')[0] == 0
    meta = dict(CLASSES=('dirt', 'cell'))  # of MMDetection 2 and MMSegmentation 0
    torch.save(dict(state_dict=weights, meta=meta), tmp_path / 'old.pth')
    code, _, messages = predict(*words, checkpoint=tmp_path / 'old.pth')
    assert code == 2
    assert 'it has dirt, cell' in messages


PALETTES = {'too short': [], 'lists': [[220, 20, 60]], 'missing': None, 'a name': 'coco'}


@pytest.mark.parametrize('palette', PALETTES.values(), ids=PALETTES)
def test_any_palette_of_a_checkpoint_can_be_drawn(palette, predict, detector, nuclei, tmp_path):
    contents = torch.load(detector / 'epoch_1.pth', weights_only=False)
    contents['meta']['dataset_meta']['palette'] = palette
    torch.save(contents, tmp_path / 'changed.pth')
    image = next((nuclei / 'images' / 'val').iterdir())
    words = ('boxes', image, '--score', '0')
    code, out, messages = predict(*words, checkpoint=tmp_path / 'changed.pth')
    assert code == 0, messages
    assert read(out)['annotations']
    assert len(list((out / 'vis').iterdir())) == 1


def test_classifier_is_rejected(tmp_path, capsys):
    Image.new('RGB', (8, 8)).save(tmp_path / 'a.png')
    torch.save({}, tmp_path / 'a.pth')
    words = ('mmgab::swin_s_gab_imagenet.py', tmp_path / 'a.pth', tmp_path / 'a.png')
    assert main(['predict', *map(str, words), '-o', str(tmp_path / 'out')]) == 2
    assert "kind 'classifier'" in capsys.readouterr().err
