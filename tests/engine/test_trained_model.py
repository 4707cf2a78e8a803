"""Models of configs are built for inference in any previous default scope."""

from mmengine.config import Config
from mmengine.registry import TASK_UTILS, DefaultScope, init_default_scope

from mmgab.engine import build_model, load_config, load_weights, set_default_scope

from ..conftest import ROOT


def test_pure_python_config_builds_after_other_configs():
    """MMDetection's own defaults are names: they are found where no scope is set."""
    config = load_config(str(ROOT / 'configs' / 'pure_python' / 'retinanet_swin_gab_nuclei.py'))
    config.model.backbone.update(embed_dims=16, depths=(1, 1, 1, 1), num_heads=(1, 2, 4, 8))
    config.model.neck.in_channels = [32, 64, 128]
    init_default_scope('mmseg')
    assert type(build_model(config)).__name__ == 'RetinaNet'
    assert DefaultScope.get_current_instance() is None


def test_default_scope_is_the_configs_or_mmengine():
    set_default_scope(Config(dict(default_scope='mmdet')))
    assert DefaultScope.get_current_instance().scope_name == 'mmdet'
    assert type(TASK_UTILS.build(dict(type='BboxOverlaps2D'))).__module__.startswith('mmdet.')
    set_default_scope(Config(dict()))
    assert DefaultScope.get_current_instance().scope_name == 'mmengine'


def test_top_level_data_preprocessor_is_used():
    config = load_config(str(ROOT / 'configs' / 'pure_python' / 'swin_t_gab_pets.py'))
    config.model.backbone.update(embed_dims=16, depths=(1, 1, 1, 1), num_heads=(1, 2, 4, 8))
    config.model.head.in_channels = 128
    assert build_model(config).data_preprocessor.std.flatten().tolist() != [1.0]
    assert config.model.data_preprocessor.num_classes == 37


def test_initial_weights_log_no_line_for_each_parameter(capsys):
    config = load_config(str(ROOT / 'configs' / 'upernet_swin_gab_nuclei.py'))
    model = build_model(config)
    load_weights(model, None)
    assert len(capsys.readouterr().out.splitlines()) < 5
