"""When the set-up runs and when it is skipped; its commands themselves run before every `make`."""

from types import SimpleNamespace

import pytest

from tools import setup_env


@pytest.fixture
def venv(tmp_path, monkeypatch):
    """An environment that is up to date, made of empty files; titles of the steps are recorded."""
    monkeypatch.setattr(setup_env, 'ROOT', tmp_path)
    (tmp_path / 'pyproject.toml').touch()
    environment = setup_env.Environment('onedl')
    package = environment.folder / 'lib' / 'python3.11' / 'site-packages' / 'mmcv'
    package.mkdir(parents=True)
    ops = package / f'_ext{setup_env.importlib.machinery.EXTENSION_SUFFIXES[-1]}'
    ops.touch()
    steps = []
    monkeypatch.setattr(setup_env.sys, 'argv', ['setup_env.py'])
    monkeypatch.setattr(setup_env, 'precompile_torch_headers', lambda *_: [])
    monkeypatch.setattr(setup_env.Environment, 'create', lambda self: None)
    monkeypatch.setattr(setup_env.Environment, 'run', lambda self, title, *_: steps.append(title))
    environment.stamp.write_text(environment.fingerprint())
    environment.mmcv_stamp.write_text(environment.mmcv_fingerprint())
    return SimpleNamespace(environment=environment, steps=steps, ops=ops)


def mmcv_was_built(venv):
    return any('building mmcv' in title for title in venv.steps)


def test_an_environment_that_is_up_to_date_is_left_alone(venv):
    setup_env.main()
    assert venv.steps == []


def test_other_requirements_do_not_rebuild_mmcv(venv):
    venv.environment.stamp.write_text('made from something else')
    setup_env.main()
    assert venv.steps
    assert not mmcv_was_built(venv)
    assert venv.environment.is_up_to_date()


def test_another_torch_or_mmcv_rebuilds_mmcv(venv):
    venv.environment.stamp.unlink()
    venv.environment.mmcv_stamp.write_text('built with another torch')
    setup_env.main()
    assert mmcv_was_built(venv)


def test_an_mmcv_without_its_ops_is_noticed_and_rebuilt(venv, monkeypatch):
    venv.ops.unlink()

    def build(self, title, *_):
        venv.steps.append(title)
        if 'building mmcv' in title:
            venv.ops.touch()

    monkeypatch.setattr(setup_env.Environment, 'run', build)
    setup_env.main()
    assert mmcv_was_built(venv)


def test_a_build_that_leaves_no_ops_ends_the_set_up(venv):
    venv.ops.unlink()
    with pytest.raises(SystemExit, match='without its compiled ops'):
        setup_env.main()
    assert mmcv_was_built(venv)


def test_each_line_has_an_environment_and_an_mmcv_of_its_own():
    """All of a line's packages are of that line: they have the same import names."""
    lines = [setup_env.Environment(line) for line in setup_env.LINES]
    assert len({line.folder for line in lines}) == len(lines) == 2
    assert len({line.mmcv_fingerprint() for line in lines}) == 2
    assert all('onedl' in package for package in lines[0].packages)
    assert not any('onedl' in package for package in lines[1].packages)
    assert ['mmcv==' in line.packages[0] for line in lines] == [True, True]


def test_an_unsupported_python_is_named(monkeypatch):
    monkeypatch.setattr(setup_env.sys, 'version_info', (3, 13, 0))
    with pytest.raises(SystemExit, match=r'Python is 3\.13\.0, supported are 3\.10 to 3\.12'):
        setup_env.Environment('onedl').create()


@pytest.mark.parametrize(
    ('line', 'shown'),
    [
        ('  [12/78] c++ -MMD -MF a.o.d -c a.cpp -o a.o', 'compiled 12 of 78 files'),
        ('Collecting torch==2.9.1 (from -r build.txt)', 'Collecting torch==2.9.1'),
        ('warning: unused variable', ''),
    ],
)
def test_progress_is_read_from_pip_and_ninja(line, shown):
    assert setup_env.progress(line).startswith(shown)
    assert bool(setup_env.progress(line)) == bool(shown)


def test_an_environment_that_somebody_else_made_is_not_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(setup_env, 'ROOT', tmp_path)
    (tmp_path / '.venv').mkdir()
    with pytest.raises(SystemExit, match='was not created by this script'):
        setup_env.Environment('onedl').create()
    assert (tmp_path / '.venv').is_dir()
