"""The checkpoint of a backbone in every form of config."""

import pytest
from mmengine.config import Config
from mmengine.model import NormalInit, PretrainedInit

from mmgab.models.init_cfg import checked_init_cfg


@pytest.mark.parametrize(
    'kind', ['Pretrained', PretrainedInit, 'mmengine.model.PretrainedInit', 'mmdet.Pretrained']
)
def test_pretrained_type_is_a_class_or_a_name(kind):
    settings = dict(type=kind, checkpoint='swin.pth')
    for init_cfg in (settings, Config(dict(init_cfg=settings)).init_cfg):
        assert checked_init_cfg(None, init_cfg) == settings


@pytest.mark.parametrize('kind', [NormalInit, 'Normal', None, 'Nowhere'])
def test_other_init_types_raise_error(kind):
    with pytest.raises(ValueError, match="must be None or have type='Pretrained'"):
        checked_init_cfg(None, dict(type=kind, checkpoint='swin.pth'))
