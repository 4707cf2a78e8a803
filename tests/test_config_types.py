"""What a ``type`` names, in every form that a config may have it in."""

from functools import partial

import pytest
from mmengine.config import Config
from mmengine.config.lazy import LazyObject
from mmengine.hooks import CheckpointHook, LoggerHook
from mmengine.registry import HOOKS, MODELS, TRANSFORMS

from mmgab.config_types import is_type, type_name, type_of
from mmgab.models import SwinGAB
from mmgab.reliability import AtomicCheckpointHook


def from_file(tmp_path, text):
    path = tmp_path / 'config.py'
    path.write_text(text)
    return Config.fromfile(path)


@pytest.mark.parametrize(
    'kind',
    [
        SwinGAB,
        'mmgab.SwinGAB',
        'mmgab.models.SwinGAB',
        'mmgab.models.swin_gab.SwinGAB',
        partial(SwinGAB, embed_dims=16),
        LazyObject('mmgab.models', 'SwinGAB'),
        LazyObject('mmgab.models').SwinGAB,
    ],
    ids=['class', 'scoped', 'package', 'module', 'partial', 'lazy', 'attribute'],
)
def test_a_type_is_known_in_every_form(kind):
    for settings in (dict(type=kind), Config(dict(a=dict(type=kind))).a):
        assert type_name(settings) == 'SwinGAB'
        assert type_of(settings, MODELS) is SwinGAB
        assert is_type(settings, SwinGAB, MODELS)
        assert is_type(settings, 'SwinGAB', MODELS)
        assert not is_type(settings, 'SwinTransformer', MODELS)


def test_a_name_is_looked_up_in_its_scope(tmp_path):
    for settings, scope in (
        (dict(type='LoadAnnotations'), 'mmseg'),
        (dict(type='LoadAnnotations', _scope_='mmseg'), 'mmdet'),
        (dict(type='mmseg.LoadAnnotations'), None),
    ):
        assert type_of(settings, TRANSFORMS, scope).__module__.startswith('mmseg')


def test_what_is_derived_from_a_class_is_of_its_type():
    settings = dict(type='mmgab.AtomicCheckpointHook')
    assert is_type(settings, AtomicCheckpointHook, HOOKS)
    assert is_type(settings, CheckpointHook, HOOKS) == issubclass(
        AtomicCheckpointHook, CheckpointHook
    )
    assert not is_type(settings, LoggerHook, HOOKS)


@pytest.mark.parametrize('settings', [{}, dict(type=None), dict(type='Nowhere'), dict(type='a.B')])
def test_missing_type_resolves_to_none(settings):
    assert type_of(settings, MODELS, 'mmdet') is None
    assert not is_type(settings, SwinGAB, MODELS)


def test_a_function_is_a_type_but_no_class(tmp_path):
    config = from_file(tmp_path, 'from mmcv.ops import nms\na = dict(type=nms)')
    assert type_name(config.a) == 'nms'
    assert is_type(config.a, 'nms', MODELS)
    assert not is_type(config.a, SwinGAB, MODELS)


def test_naming_a_type_imports_nothing(tmp_path):
    config = from_file(tmp_path, 'from no_such_package import Net\nmodel = dict(type=Net)')
    assert type_name(config._cfg_dict['model']) == 'Net'
