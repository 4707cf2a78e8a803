"""--cfg-options: an unknown key is an error that suggests the nearest key."""

import copy
import functools

import pytest

from mmgab.engine import load_config
from mmgab.engine.config_options import OptionError, merge_options

from ..cli.runs import call
from ..conftest import ROOT, start_tool

SEGMENTOR, DETECTOR = 'upernet_swin_gab_nuclei', 'mask_rcnn_swin_gab_nuclei'
CLASSIFIER = 'swin_s_gab_imagenet'
EVERYWHERE = (SEGMENTOR, DETECTOR, CLASSIFIER)


@functools.cache
def loaded(name):
    return load_config(str(ROOT / 'configs' / f'{name}.py'))


def merged(name, options):
    config = copy.deepcopy(loaded(name))
    merge_options(config, options)
    return config


def value_at(config, key):
    node = config._cfg_dict
    for name in key.split('.'):
        node = node[int(name)] if isinstance(node, list) else node[name]
    return node


@pytest.mark.parametrize('name', EVERYWHERE)
@pytest.mark.parametrize(
    'key',
    [
        # In the config.
        'optim_wrapper.optimizer.lr', 'param_scheduler.0.end', 'default_hooks.checkpoint.interval',
        # Arguments of what a type builds, its bases included.
        'model.backbone.with_cp', 'model.backbone.init_cfg', 'optim_wrapper.optimizer.eps',
        'optim_wrapper.accumulative_counts', 'train_dataloader.dataset.indices',
        'default_hooks.checkpoint.save_best', 'val_evaluator.prefix', 'visualizer.save_dir',
        # A dict of this package, which checks it.
        'model.backbone.cb_cfg.type', 'model.backbone.gpsa_cfg.gate',
        # Read by MMEngine and by this package.
        'work_dir', 'load_from', 'resume', 'randomness.seed', 'randomness.deterministic',
        'train_dataloader.prefetch_factor', 'train_dataloader.num_workers',
        'train_cfg.dynamic_intervals', 'env_cfg.dist_cfg.timeout', 'auto_scale_lr.base_batch_size',
        'log_processor.window_size', 'log_level', 'find_unused_parameters', 'trust_checkpoints',
        'model_wrapper_cfg.type', 'compile', 'experiment_name',
        # Names of the user's.
        'optim_wrapper.paramwise_cfg.custom_keys.mine.lr_mult', 'optim_wrapper.clip_grad.max_norm',
        'optim_wrapper.constructor', 'default_hooks.logger.priority',
    ],
)  # fmt: skip
def test_a_key_that_is_read_is_set(key, name):
    assert value_at(merged(name, {key: 5}), key) == 5


@pytest.mark.parametrize(
    ('name', 'key'),
    [
        (SEGMENTOR, 'model.test_cfg.crop_size'),
        (SEGMENTOR, 'model.decode_head.num_classes'),
        (SEGMENTOR, 'train_cfg.max_iters'),
        (DETECTOR, 'test_evaluator.ann_file'),
        (DETECTOR, 'model.test_cfg.rcnn.score_thr'),
        (DETECTOR, 'train_cfg.max_epochs'),
        (CLASSIFIER, 'model.head.num_classes'),
    ],
)
def test_a_key_of_a_toolbox_that_is_read_is_set(name, key):
    assert value_at(merged(name, {key: 5}), key) == 5


@pytest.mark.parametrize('name', EVERYWHERE)
@pytest.mark.parametrize(
    ('key', 'nearest'),
    [
        ('optim_wraper.optimizer.lr', 'optim_wrapper'),
        ('optim_wrapper.optimizer.learning_rate', 'optim_wrapper.optimizer.lr'),
        ('optim_wrapper.accumulative_count', 'optim_wrapper.accumulative_counts'),
        ('optimizer.lr', 'optim_wrapper.optimizer.lr'),
        ('lr', 'optim_wrapper.optimizer.lr'),
        ('load_form', 'load_from'),
        ('model.backbone.depht', 'model.backbone.depth'),
        ('model.backbone.gab_confg.sigma', 'model.backbone.gab_cfg'),
        ('train_dataloader.batchsize', 'train_dataloader.batch_size'),
        ('default_hooks.chekpoint.interval', 'default_hooks.checkpoint'),
        ('randomness.sed', 'randomness.seed'),
        ('env_cfg.cudnn_benchmarck', 'env_cfg.cudnn_benchmark'),
        ('auto_scale_lr.enabled', 'auto_scale_lr.enable'),
        ('visualizer.vis_backend', 'visualizer.vis_backends'),
        ('param_scheduler.0.gama', 'param_scheduler.0'),
    ],
)
def test_unknown_key_error_suggests_the_nearest_key(key, nearest, name):
    with pytest.raises(OptionError, match='the nearest key is ') as caught:
        merged(name, {key: 5})
    assert f'the nearest key is {nearest}' in str(caught.value)
    assert f'+{key}=' in str(caught.value)


@pytest.mark.parametrize(
    ('name', 'key', 'nearest'),
    [
        (SEGMENTOR, 'model.decode_head.num_clases', 'model.decode_head.num_classes'),
        (SEGMENTOR, 'train_cfg.max_iter', 'train_cfg.max_iters'),
        (SEGMENTOR, 'val_evaluator.iou_metric', 'val_evaluator.iou_metrics'),
        (DETECTOR, 'model.test_cfg.rcnn.score_th', 'model.test_cfg.rcnn.score_thr'),
        (SEGMENTOR, 'train_dataloader.dataset.img_sufix', 'train_dataloader.dataset.img_suffix'),
        (DETECTOR, 'train_dataloader.dataset.data_rot', 'train_dataloader.dataset.data_root'),
        (DETECTOR, 'train_cfg.max_epoch', 'train_cfg.max_epochs'),
        (DETECTOR, 'test_evaluator.annfile', 'test_evaluator.ann_file'),
    ],
)
def test_unknown_toolbox_key_is_rejected(name, key, nearest):
    with pytest.raises(OptionError, match=f'the nearest key is {nearest}'):
        merged(name, {key: 5})


@pytest.mark.parametrize('key', ['data_root', 'img_scale', 'norm_cfg.type'])
def test_override_of_a_substituted_variable_is_rejected(key, tmp_path):
    """MMEngine sets it, and the settings that it was written into keep their values."""
    path = tmp_path / 'config.py'
    path.write_text(
        "data_root = 'a'\nimg_scale = (2, 3)\nnorm_cfg = dict(type='BN')\n"
        "train_dataloader = dict(dataset=dict(type='A', data_root=data_root, size=img_scale))\n"
        'model = dict(norm_cfg=norm_cfg)\n'
    )
    with pytest.raises(OptionError, match='variable of the config file') as caught:
        load_config(str(path), {key: 'b'})
    place = dict(
        data_root='train_dataloader.dataset.data_root',
        img_scale='train_dataloader.dataset.size',
        norm_cfg='model.norm_cfg',
    )
    assert f'Override {place[key.partition(".")[0]]}' in str(caught.value)


@pytest.mark.parametrize(
    ('key', 'reason'),
    [
        ('param_scheduler.end', 'param_scheduler is a list of 1'),
        ('param_scheduler.7.end', 'it has no 7'),
        ('model.backbone.embed_dims.sigma', 'model.backbone.embed_dims is 32'),
    ],
)
def test_key_below_a_non_dict_is_rejected(key, reason):
    with pytest.raises(OptionError, match=reason):
        merged(SEGMENTOR, {key: 5})


@pytest.mark.parametrize('plus', ['', '+'])
@pytest.mark.parametrize(
    ('name', 'key', 'whole'),
    [
        (DETECTOR, 'val_evaluator.metric.0', 'whole list: "val_evaluator.metric='),
        (DETECTOR, 'val_evaluator.metric.0.type', 'whole list: "val_evaluator.metric='),
        (DETECTOR, 'model.neck.in_channels.0', 'whole list: "model.neck.in_channels='),
        (SEGMENTOR, 'param_scheduler.0', 'whole list: "param_scheduler='),
        (SEGMENTOR, 'model.backbone.depths.0', 'whole tuple: "model.backbone.depths='),
        (CLASSIFIER, 'model.backbone.depths.0.a', 'whole tuple: "model.backbone.depths='),
    ],
)
def test_list_or_tuple_entry_error_shows_the_syntax(name, key, whole, plus):
    with pytest.raises(OptionError, match='Give the ') as caught:
        merged(name, {plus + key: 'bbox'})
    assert whole in str(caught.value)
    assert '_delete_' not in str(caught.value)


@pytest.mark.parametrize('plus', ['', '+'])
def test_an_entry_of_a_list_is_not_deleted(plus):
    """MMEngine would keep its other keys, and ``_delete_`` beside them."""
    options = {f'{plus}param_scheduler.0._delete_': True, 'param_scheduler.0.type': 'LinearLR'}
    with pytest.raises(OptionError, match='cannot be replaced'):
        merged(SEGMENTOR, options)


def test_train_cfg_of_a_classifier_is_set():
    augments = [dict(type='Mixup', alpha=0.8)]
    config = copy.deepcopy(loaded(CLASSIFIER))
    config.model.train_cfg = {}
    merge_options(config, {'model.train_cfg.augments': augments, 'model.train_cfg.probs': [1]})
    assert config.model.train_cfg == dict(augments=augments, probs=[1])


@pytest.mark.parametrize('name', EVERYWHERE)
def test_checkpoint_hook_accepts_only_its_arguments(name):
    key = 'default_hooks.checkpoint.save_param_scheduler'
    assert value_at(merged(name, {key: False}), key) is False
    with pytest.raises(
        OptionError, match=r'the nearest key is default_hooks\.checkpoint\.interval'
    ):
        merged(name, {'default_hooks.checkpoint.intervall': 1})


def test_filter_cfg_accepts_keys_that_datasets_read():
    key = 'train_dataloader.dataset.filter_cfg'
    config = copy.deepcopy(loaded(DETECTOR))
    config.train_dataloader.dataset.pop('filter_cfg', None)
    with pytest.raises(OptionError, match=f'{key} has no minsize'):
        merge_options(config, {f'{key}.minsize': 1})
    merge_options(config, {f'{key}.min_size': 1, f'{key}.filter_empty_gt': True})
    assert config.train_dataloader.dataset.filter_cfg == dict(min_size=1, filter_empty_gt=True)


@pytest.mark.parametrize('name', EVERYWHERE)
def test_custom_keys_accept_multipliers_and_optimizer_args(name):
    key = 'optim_wrapper.paramwise_cfg.custom_keys.mine'
    options = {f'{key}.lr_mult': 0.1, f'{key}.decay_mult': 0, f'{key}.weight_decay': 0}
    assert len(value_at(merged(name, options), key)) == 3
    with pytest.raises(OptionError, match='has no lr_mul; '):
        merged(name, {f'{key}.lr_mul': 0.1})
    merged(name, {'optim_wrapper.constructor': 'Mine', f'{key}.lr_mul': 0.1})


def test_replaced_object_is_checked_by_its_new_type():
    options = {'model.backbone._delete_': True, 'model.backbone.type': 'ResNet'}
    with pytest.raises(OptionError, match=r'model\.backbone \(ResNet\) has no embed_dims'):
        merged(SEGMENTOR, {**options, 'model.backbone.embed_dims': 18})


@pytest.mark.parametrize(
    ('name', 'key'),
    [
        (DETECTOR, 'model.test_cfg.score_thr'),
        (DETECTOR, 'model.train_cfg.pos_weight'),
        (DETECTOR, 'model.test_cfg.rcnn.mode'),
        (SEGMENTOR, 'model.test_cfg.score_thr'),
        (CLASSIFIER, 'model.train_cfg.rcnn'),
    ],
)
def test_key_of_another_model_kind_is_rejected(name, key):
    with pytest.raises(OptionError, match='has no '):
        merged(name, {key: 5})


def test_sampler_with_kwargs_accepts_only_known_names():
    key = 'model.train_cfg.rcnn.sampler'
    with pytest.raises(OptionError, match=r'sampler \(RandomSampler\) has no nums'):
        merged(DETECTOR, {f'{key}.nums': 3})
    assert value_at(merged(DETECTOR, {f'{key}.rng': 3}), f'{key}.rng') == 3


def test_a_key_with_a_plus_is_added():
    config = merged(SEGMENTOR, {'+mine.key': 5, '+model.test_cfg.mine': 6})
    assert config.mine.key == 5
    assert config.model.test_cfg.mine == 6


def test_deleted_and_replaced_object_has_its_own_keys():
    options = {'model.backbone._delete_': True, 'model.backbone.type': 'ResNet'}
    config = merged(SEGMENTOR, {**options, 'model.backbone.depth': 18})
    assert config.model.backbone == dict(type='ResNet', depth=18)


def test_new_hook_is_added():
    hook = {'default_hooks.ema.type': 'EMAHook', 'default_hooks.ema.momentum': 0.1}
    assert merged(SEGMENTOR, hook).default_hooks.ema == dict(type='EMAHook', momentum=0.1)


def test_a_key_of_another_type_is_that_types():
    options = {'optim_wrapper.optimizer.type': 'SGD', 'optim_wrapper.optimizer.momentum': 0.9}
    assert merged(SEGMENTOR, options).optim_wrapper.optimizer.momentum == 0.9


@pytest.mark.parametrize(
    ('tool', 'words'),
    [
        ('tools/train.py', ()),
        ('tools/test.py', ('none.pth',)),
        ('tools/misc/check_dataset.py', ('-o', 'out')),
        ('tools/deployment/export.py', ('none.pth', '--out', 'out.onnx')),
        ('tools/analysis_tools/erf.py', ('--images', 'noise', '--out', 'out')),
        ('tools/analysis_tools/attention_maps.py', ('--images', 'noise', '--out', 'out')),
    ],
)
def test_every_tool_rejects_unknown_keys_first(tool, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = ROOT / 'configs' / f'{SEGMENTOR}.py'
    words = (config, *words, '--cfg-options', 'model.backbone.depht=1')
    code, output = call(tool, words, capsys, monkeypatch)
    assert code not in (None, 0), output
    assert 'the nearest key is model.backbone.depth' in output
    assert not list(tmp_path.glob('work_dirs/*'))


@pytest.mark.process
def test_error_is_the_last_line_with_several_processes(tmp_path):
    done = start_tool(
        'tools/dist_train.sh', f'configs/{SEGMENTOR}.py', 2, '--work-dir', tmp_path,
        '--cfg-options', 'train_cfg.max_iter=1',
    )  # fmt: skip
    assert done.returncode == 2
    assert 'the nearest key is train_cfg.max_iters' in done.stdout.strip().splitlines()[-1]
    assert 'signal handlers' not in done.stdout
