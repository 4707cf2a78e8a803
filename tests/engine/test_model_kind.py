"""The kind of a config's model, from its class."""

import pytest
from mmdet.models import MaskRCNN, SemiBaseDetector
from mmengine.config import Config
from mmpretrain.models import ImageClassifier
from mmseg.models import EncoderDecoder

from mmgab.engine import kind_of_model


class OwnDetector(MaskRCNN):
    pass


def built_by_a_function():
    pass


def kind(model, **settings):
    return kind_of_model(Config(dict(model=model, **settings)))


@pytest.mark.parametrize(
    ('type_', 'scope', 'expected'),
    [
        ('MaskRCNN', 'mmdet', 'detector'),
        ('mmdet.MaskRCNN', None, 'detector'),
        ('mmdet.models.detectors.mask_rcnn.MaskRCNN', None, 'detector'),
        (OwnDetector, None, 'detector'),
        ('mmdet.PanopticFPN', 'mmseg', 'detector'),
        (EncoderDecoder, None, 'segmentor'),
        ('EncoderDecoder', 'mmseg', 'segmentor'),
        ('mmseg.EncoderDecoder', 'mmdet', 'segmentor'),
        (ImageClassifier, None, 'classifier'),
        ('mmpretrain.MAE', None, 'pretraining'),
        ('mmpretrain.ImageToImageRetriever', 'mmpretrain', 'other'),
        ('torch.nn.Identity', None, 'other'),
        ('Nowhere', None, 'other'),
        (built_by_a_function, 'mmseg', 'segmentor'),
    ],
)
def test_model_kind_depends_on_the_class_not_the_scope(type_, scope, expected):
    assert kind(dict(type=type_), default_scope=scope) == expected


def test_model_kind_of_a_wrapper_is_the_inner_models():
    inner = dict(type=MaskRCNN)
    assert kind(dict(type='mmdet.DetTTAModel', module=inner)) == 'detector'
    assert kind(dict(type=SemiBaseDetector, detector=inner)) == 'detector'
    assert kind(dict(type='mmdet.DeepSORT', detector=inner)) == 'detector'
    segmentor = dict(type='mmseg.SegTTAModel', module=dict(type='mmseg.EncoderDecoder'))
    assert kind(segmentor, default_scope='mmdet') == 'segmentor'
