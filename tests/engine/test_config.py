import json
from importlib import metadata

import pytest

from mmgab.engine import load_config

from ..conftest import IS_ORIGINAL


def write(tmp_path, text, name='mine.py'):
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def test_work_dir_is_the_arguments_then_the_configs_then_named_after_the_config(tmp_path):
    path = write(tmp_path, 'a = 1')
    assert load_config(path).work_dir == './work_dirs/mine'
    assert load_config(path, {'work_dir': 'from_config'}).work_dir == 'from_config'
    assert load_config(path, {'work_dir': 'from_config'}, 'argument').work_dir == 'argument'


def test_options_override_and_the_launcher_is_kept(tmp_path):
    path = write(tmp_path, 'model = dict(backbone=dict(depths=(2, 2)))')
    config = load_config(path, {'model.backbone.depths': [1, 1]}, launcher='pytorch')
    assert config.model.backbone.depths == [1, 1]
    assert config.launcher == 'pytorch'


def is_editable():
    """Whether mmgab is installed as a link to this folder."""
    origin = metadata.distribution('mmgab').read_text('direct_url.json') or '{}'
    return json.loads(origin).get('dir_info', {}).get('editable', False)


@pytest.mark.parametrize(
    ('base', 'type_'),
    [
        ('mmgab::_base_/../mask_rcnn_swin_s_gab_coco.py', 'mmgab.SwinGAB'),
        ('mmgab::_base_/../upernet_swin_t_ade20k.py', 'mmgab.SwinGAB'),
        ('mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py', 'SwinTransformer'),
        ('mmseg::_base_/models/upernet_swin.py', 'SwinTransformer'),
    ],
)
def test_configs_of_all_three_packages_can_be_inherited(tmp_path, base, type_):
    if base.startswith('mmgab') and IS_ORIGINAL and is_editable():
        pytest.skip('mmengine 0.10.7 looks for an editable package where it is not')
    config = load_config(write(tmp_path, f"_base_ = '{base}'"))
    assert config.model.backbone.type == type_


def test_a_missing_config_is_named():
    with pytest.raises(FileNotFoundError, match=r'config configs/nowhere\.py does not exist'):
        load_config('configs/nowhere.py')
