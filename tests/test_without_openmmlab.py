"""What is for timm's networks and for checkpoints needs torch, timm and safetensors alone."""

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch

import mmgab

from .conftest import ROOT

pytestmark = pytest.mark.process


def closure(*names):
    """Installed distributions that some need, themselves included."""
    found, left = {}, list(names)
    while left:
        name = re.sub(r'[-_.]+', '-', left.pop()).lower()
        if name in found:
            continue
        try:
            found[name] = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # for another platform
        needed = found[name].requires or []
        left += [re.match(r'[\w.-]+', line)[0] for line in needed if 'extra ==' not in line]
    return found


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    """A folder with torch, timm, safetensors and what they need, and nothing else."""
    folder = tmp_path_factory.mktemp('site')
    for distribution in closure('torch', 'timm', 'safetensors').values():
        for top in {Path(file).parts[0] for file in distribution.files} - {'..', '__pycache__'}:
            if not (folder / top).exists():
                (folder / top).symlink_to(distribution.locate_file(top))
    (folder / 'mmgab').symlink_to(ROOT / 'mmgab')
    return folder


def run(site, *command):
    return subprocess.run(
        [sys.executable, '-S', '-W', 'ignore', *map(str, command)],
        env={**os.environ, 'PYTHONPATH': str(site)},
        cwd=site,
        capture_output=True,
        text=True,
    )


def test_a_timm_network_gets_and_loses_its_gaussians(site):
    code = """
import importlib.util, timm, torch, mmgab
assert not [n for n in ('mmengine', 'mmcv', 'mmdet', 'mmseg') if importlib.util.find_spec(n)]
model = timm.create_model('swin_tiny_patch4_window7_224', num_classes=0, depths=(1, 1, 1, 1))
image = torch.rand(1, 3, 224, 224)
before = model.eval()(image)
mmgab.add_gaussian_bias(model, sigma=2.0)
assert not torch.equal(model(image), before)
mmgab.remove_gaussian_bias(model)
assert torch.equal(model(image), before)
"""
    done = run(site, '-c', code)
    assert done.returncode == 0, done.stderr


def test_converter_inspects_and_converts(site, tmp_path):
    model = timm.create_model('swin_tiny_patch4_window7_224', depths=(1, 1, 1, 1))
    torch.save(model.state_dict(), tmp_path / 'timm.pth')
    convert = ROOT / 'tools/model_converters/convert.py'
    inspected = run(site, convert, 'inspect', tmp_path / 'timm.pth')
    assert 'timm' in inspected.stdout, inspected.stderr
    done = run(site, convert, 'unfold', tmp_path / 'timm.pth', '-o', tmp_path / 'gab.pth')
    assert done.returncode == 0, done.stderr
    assert any('gaussian' in name for name in torch.load(tmp_path / 'gab.pth')['state_dict'])


def test_mmgab_inspects_and_reports_missing_packages(site, tmp_path):
    model = timm.create_model('swin_tiny_patch4_window7_224', depths=(1, 1, 1, 1))
    torch.save(model.state_dict(), tmp_path / 'timm.pth')
    done = run(site, '-m', 'mmgab', 'inspect', tmp_path / 'timm.pth')
    assert done.returncode == 0, done.stderr
    assert 'layout      timm' in done.stdout
    done = run(site, '-m', 'mmgab', 'train', 'config.py')
    assert done.returncode == 2
    assert 'pip install --no-build-isolation onedl-mmengine==' in done.stderr
    assert 'Traceback' not in done.stderr


def test_missing_mmcv_is_reported(site):
    done = run(site, '-c', 'import mmgab; mmgab.SwinGAB')
    assert 'mmgab.SwinGAB needs mmengine and mmcv' in done.stderr


@pytest.mark.parametrize('name', mmgab.__all__)
def test_public_name_is_imported_on_demand(name):
    assert callable(getattr(mmgab, name))
    assert name in dir(mmgab)


def test_unknown_name_raises_attribute_error():
    with pytest.raises(AttributeError, match='nothing'):
        mmgab.nothing  # noqa: B018
