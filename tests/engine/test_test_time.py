import pytest

from mmgab.engine import load_config
from mmgab.engine.test_time import dump_predictions, enable_drawing, enable_tta

from ..conftest import ROOT


def config(name):
    return load_config(str(ROOT / 'configs' / f'{name}.py'))


def test_masks_cannot_be_augmented_and_the_error_says_so():
    for name in ('mask_rcnn_swin_s_gab_coco', 'cascade_mask_rcnn_swin_s_gab_coco'):
        with pytest.raises(ValueError, match=r'--tta cannot merge the masks of'):
            enable_tta(config(name))


def test_masks_of_a_query_model_cannot_be_augmented_either(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text("_base_ = 'mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco.py'")
    with pytest.raises(ValueError, match=r'--tta cannot merge the masks of Mask2Former'):
        enable_tta(load_config(str(path)))


def test_boxes_are_augmented_by_flips():
    detector = config('retinanet_swin_t_gab_coco')
    enable_tta(detector)
    assert detector.model.type == 'DetTTAModel'
    assert detector.model.module.type == 'RetinaNet'
    assert detector.test_dataloader.dataset.pipeline[-1].type == 'TestTimeAug'


def test_pixels_are_augmented_by_the_configs_scales_and_flips():
    segmentor = config('upernet_swin_s_gab_ade20k')
    enable_tta(segmentor)
    assert segmentor.model.type == 'SegTTAModel'
    scales, flips, *_ = segmentor.test_dataloader.dataset.pipeline[-1].transforms
    assert (len(scales), len(flips)) == (6, 2)


def test_a_segmentor_without_a_tta_pipeline_is_refused():
    segmentor = config('upernet_swin_gab_nuclei')
    segmentor.pop('tta_pipeline')
    with pytest.raises(ValueError, match='tta_model and tta_pipeline'):
        enable_tta(segmentor)


@pytest.mark.parametrize(
    ('name', 'out', 'words'),
    [
        ('mask_rcnn_swin_gab_nuclei', 'folder', r'\.pkl file for a detector, got folder'),
        ('upernet_swin_gab_nuclei', 'a.pkl', r'folder for a segmentor, got a\.pkl'),
    ],
)
def test_the_wrong_kind_of_output_is_refused(name, out, words):
    with pytest.raises(ValueError, match=words):
        dump_predictions(config(name), out)


def test_drawing_needs_its_hook():
    without = config('upernet_swin_gab_nuclei')
    del without.default_hooks['visualization']
    with pytest.raises(ValueError, match=r'default_hooks\.visualization'):
        enable_drawing(without, True, None, 1.0)
