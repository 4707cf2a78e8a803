import pytest
from mmdet.engine.hooks import DetVisualizationHook
from mmengine.config import Config
from mmpretrain.models import ImageClassifier
from mmseg.models import EncoderDecoder

from mmgab.engine import load_config
from mmgab.engine.test_time import dump_predictions, enable_drawing, enable_tta

from ..conftest import ROOT


def config(name):
    return load_config(str(ROOT / 'configs' / f'{name}.py'))


def test_tta_of_masks_is_rejected():
    for name in ('mask_rcnn_swin_s_gab_coco', 'cascade_mask_rcnn_swin_s_gab_coco'):
        with pytest.raises(ValueError, match=r'--tta cannot merge the masks of'):
            enable_tta(config(name))


def test_tta_of_query_model_masks_is_rejected(tmp_path):
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


def test_segmentor_without_tta_pipeline_is_rejected():
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
def test_wrong_output_type_is_rejected(name, out, words):
    with pytest.raises(ValueError, match=words):
        dump_predictions(config(name), out)


def test_drawing_needs_its_hook():
    without = config('upernet_swin_gab_nuclei')
    del without.default_hooks['visualization']
    with pytest.raises(ValueError, match=r'default_hooks\.visualization'):
        enable_drawing(without, True, None, 1.0)


def flipped(model_type, dataset):
    """The test data set of a config of few words, changed by --tta."""
    config = Config(dict(model=dict(type=model_type), test_dataloader=dict(dataset=dataset)))
    config.test_evaluator = dict(type='Accuracy')
    enable_tta(config)
    return config.test_dataloader.dataset


STEPS = [dict(type='LoadImageFromFile'), dict(type='Pack')]


@pytest.mark.parametrize(
    'wrap',
    [
        lambda leaf: dict(type='ConcatDataset', datasets=[leaf, leaf]),
        lambda leaf: dict(type='RepeatDataset', times=2, dataset=leaf),
        lambda leaf: dict(
            type='ClassBalancedDataset', dataset=dict(type='ConcatDataset', datasets=[leaf])
        ),
    ],
    ids=['concatenated', 'repeated', 'balanced'],
)
def test_the_data_sets_in_a_wrapper_are_augmented(wrap):
    dataset = flipped(ImageClassifier, wrap(dict(type='CustomDataset', pipeline=STEPS)))
    assert 'pipeline' not in dataset
    assert str(dataset).count('TestTimeAug') == 1 + (dataset.type == 'ConcatDataset')


def test_mixed_images_are_augmented_after_they_are_mixed():
    leaf = dict(type='CustomDataset', pipeline=STEPS[:1])
    dataset = flipped(
        ImageClassifier, dict(type='MultiImageMixDataset', dataset=leaf, pipeline=STEPS[1:])
    )
    assert dataset.pipeline[-1].type == 'TestTimeAug'
    assert 'TestTimeAug' not in str(dataset.dataset)


def test_masks_are_detected_from_the_metric(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text("_base_ = 'mmdet::rtmdet/rtmdet-ins_tiny_8xb32-300e_coco.py'")
    with pytest.raises(ValueError, match=r'--tta cannot merge the masks of RTMDet'):
        enable_tta(load_config(str(path)))


def test_tta_of_semi_supervised_masks_is_rejected():
    detector = dict(type='mmdet.MaskRCNN', roi_head=dict(mask_head=dict(num_convs=4)))
    model = dict(type='mmdet.SemiBaseDetector', detector=detector)
    with pytest.raises(ValueError, match=r'--tta cannot merge the masks of MaskRCNN'):
        enable_tta(Config(dict(model=model, test_evaluator=dict(metric='bbox'))))


def test_classifier_predictions_are_saved_in_one_file():
    classifier = Config(dict(model=dict(type=ImageClassifier), test_evaluator=[dict(type='A')]))
    dump_predictions(classifier, 'kept.pkl')
    assert classifier.test_evaluator[-1] == dict(type='DumpResults', out_file_path='kept.pkl')
    with pytest.raises(ValueError, match=r'\.pkl file for a classifier, got folder'):
        dump_predictions(classifier, 'folder')


@pytest.mark.parametrize(
    ('hook', 'setting'),
    [
        (dict(type=DetVisualizationHook), 'test_out_dir'),
        (dict(type='mmdet.DetVisualizationHook'), 'test_out_dir'),
        (dict(type='mmpretrain.VisualizationHook'), 'out_dir'),
    ],
)
def test_hook_draws_into_its_output_argument(hook, setting):
    config = Config(dict(default_hooks=dict(visualization=hook), work_dir='run'))
    enable_drawing(config, False, 'drawn', 1.0)
    hook = config.default_hooks.visualization
    assert hook[setting].endswith('drawn')
    assert hook.get('draw') or hook.get('enable')


def test_unknown_hook_error_has_its_name():
    config = Config(dict(default_hooks=dict(visualization=dict(type='Nowhere'))))
    with pytest.raises(ValueError, match=r"visualization: hook 'Nowhere' is not registered"):
        enable_drawing(config, False, 'drawn', 1.0)


def test_augmented_predictions_of_a_classifier_are_not_drawn():
    hook = dict(type='mmpretrain.VisualizationHook')
    config = Config(dict(default_hooks=dict(visualization=hook), work_dir='run'))
    enable_drawing(config, False, 'drawn', 1.0)
    with pytest.raises(ValueError, match='cannot draw predictions of a classifier with --tta'):
        enable_tta(config)


def test_segmentor_given_as_a_class_is_recognized():
    segmentor = Config(dict(model=dict(type=EncoderDecoder), test_evaluator=dict(type='A')))
    dump_predictions(segmentor, 'maps')
    assert segmentor.test_evaluator.output_dir == 'maps'
