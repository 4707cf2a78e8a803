"""The runner type of a config."""

import pytest
from mmengine.config import Config
from mmengine.config.lazy import LazyObject
from mmengine.registry import RUNNERS
from mmengine.runner import FlexibleRunner, Runner
from torch import nn

from mmgab.engine import CheckedRunner, build_runner


class OwnRunner(CheckedRunner):
    pass


@pytest.fixture
def config(tmp_path):
    def make(**settings):
        return Config(dict(model=nn.Identity(), work_dir=str(tmp_path), **settings))

    return make


@pytest.mark.parametrize(
    ('settings', 'expected'),
    [
        ({}, CheckedRunner),
        (dict(runner_type='mmgab.CheckedRunner'), CheckedRunner),
        (dict(runner_type=LazyObject(__name__, 'OwnRunner')), OwnRunner),
        (dict(runner_type='Runner'), Runner),
    ],
)
def test_a_runner_is_built_by_class_or_name(settings, expected, config):
    assert type(build_runner(config(**settings))) is expected


@pytest.mark.parametrize('kind', ['FlexibleRunner', FlexibleRunner, nn.Identity])
def test_unsupported_runner_is_rejected(kind, config):
    with pytest.raises(ValueError, match=r'--cfg-options runner_type=mmgab\.CheckedRunner'):
        build_runner(config(runner_type=kind))


def test_unknown_runner_error_has_its_name(config):
    with pytest.raises(ValueError, match="runner_type 'Nowhere' is not registered"):
        build_runner(config(runner_type='Nowhere'))


def test_openmmlab_tools_can_use_checked_runner(config):
    assert type(RUNNERS.build(config(runner_type='mmgab.CheckedRunner'))) is CheckedRunner
