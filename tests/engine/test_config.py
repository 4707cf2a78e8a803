import subprocess
import sys

import pytest
from mmcv.ops import RoIAlign, nms

from mmgab.engine import load_config

from ..conftest import ROOT


def write(tmp_path, text, name='mine.py'):
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def test_work_dir_precedence(tmp_path):
    path = write(tmp_path, 'a = 1')
    assert load_config(path).work_dir == './work_dirs/mine'
    assert load_config(path, {'work_dir': 'from_config'}).work_dir == 'from_config'
    assert load_config(path, {'work_dir': 'from_config'}, 'argument').work_dir == 'argument'


def test_options_override_and_the_launcher_is_kept(tmp_path):
    path = write(tmp_path, 'model = dict(backbone=dict(depths=(2, 2)))')
    config = load_config(path, {'model.backbone.depths': [1, 1]}, launcher='pytorch')
    assert config.model.backbone.depths == [1, 1]
    assert config.launcher == 'pytorch'


@pytest.mark.parametrize(
    ('base', 'type_'),
    [
        ('mmgab::mask_rcnn_swin_s_gab_coco.py', 'mmgab.SwinGAB'),
        ('mmgab::_base_/../upernet_swin_t_ade20k.py', 'mmgab.SwinGAB'),
        ('mmgab::_base_/upernet.py', 'mmgab.SwinGAB'),
        ('mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py', 'SwinTransformer'),
        ('mmseg::_base_/models/upernet_swin.py', 'SwinTransformer'),
    ],
)
def test_configs_of_all_three_packages_can_be_inherited(tmp_path, base, type_):
    config = load_config(write(tmp_path, f"_base_ = '{base}'"))
    assert config.model.backbone.type == type_


def test_missing_config_error_has_its_path():
    with pytest.raises(FileNotFoundError, match=r'config configs/nowhere\.py does not exist'):
        load_config('configs/nowhere.py')


def test_missing_base_config_error_has_its_path(tmp_path):
    path = write(tmp_path, "_base_ = 'mmgab::mask_rcnn_swin_xl.py'")
    with pytest.raises(FileNotFoundError, match=r"'mmgab::mask_rcnn_swin_xl\.py' of .*mine\.py"):
        load_config(path)


def test_types_of_an_inherited_config_keep_the_scope_of_their_toolbox(tmp_path):
    """MMEngine marks what it inherits with the package's scope, and ours has no MaskRCNN."""
    ours = load_config(write(tmp_path, "_base_ = 'mmgab::mask_rcnn_swin_s_gab_coco.py'"))
    assert ours.model._scope_ == 'mmdet'
    assert "'mmgab'" not in str(ours._cfg_dict)


@pytest.mark.process
def test_openmmlab_tools_find_inherited_package_bases(tmp_path):
    """In a process that reads a config as they do; it knows nothing of this package."""
    base = ROOT / 'configs' / '_base_' / 'package_bases.py'
    bases = [str(base), 'mmseg::_base_/models/upernet_swin.py', 'mmgab::_base_/nuclei_semantic.py']
    path = write(tmp_path, f'_base_ = {bases}')
    code = f'from mmengine.config import Config; print(Config.fromfile({path!r}).model.type)'
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', code], capture_output=True)
    assert done.stdout.split() == [b'EncoderDecoder'], done.stderr.decode()


def test_dumped_pure_python_config_is_equivalent(tmp_path):
    """MMEngine writes classes and functions by their full names."""
    text = 'from mmcv.ops import RoIAlign, nms\nsteps = [dict(type=nms), dict(type=RoIAlign)]'
    load_config(write(tmp_path, text)).dump(tmp_path / 'written.py')
    written = load_config(str(tmp_path / 'written.py'))
    assert [step.type for step in written.steps] == [nms, RoIAlign]
    assert "type='mmcv.ops.nms'" in written.pretty_text  # it is written again in the same way


def test_names_that_are_not_modules_stay_strings(tmp_path):
    names = ['mmgab.SwinGAB', 'SwinGAB', 'no.such.Thing', 'mmcv.ops.Nowhere', 'os.path']
    config = load_config(write(tmp_path, f'steps = [dict(type=name) for name in {names}]'))
    assert [step.type for step in config.steps] == names


def test_options_override_a_pure_python_config(tmp_path):
    text = 'from mmcv.ops import nms\nmodel = dict(nms=dict(type=nms, iou_threshold=0.5), size=1)'
    config = load_config(write(tmp_path, text), {'model.nms.iou_threshold': 0.7})
    assert config.model.nms.iou_threshold == 0.7
    assert config.model.nms.type.__name__ == 'nms'
