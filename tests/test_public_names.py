"""Names of the package: imported when they are used, suggested when they are mistyped."""

import subprocess
import sys

import pytest

import mmgab


@pytest.mark.parametrize('name', mmgab.__all__)
def test_public_name_is_imported_on_demand(name):
    assert name in dir(mmgab)
    assert callable(getattr(mmgab, name))


@pytest.mark.process
def test_package_import_loads_no_framework():
    code = 'import sys, mmgab; print(sorted({"torch", "mmengine", "mmcv"} & sys.modules.keys()))'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout == '[]\n'


@pytest.mark.parametrize(
    ('wrong', 'right'),
    [('SwinGab', 'SwinGAB'), ('swin_gab', 'SwinGAB'), ('VitGAB', 'ViTGAB'), ('lod', 'load'),
     ('add_gausian_bias', 'add_gaussian_bias')],
)  # fmt: skip
def test_wrong_name_suggests_right_one(wrong, right):
    with pytest.raises(ImportError, match=f"'{wrong}' from 'mmgab'. Did you mean '{right}'"):
        exec(f'from mmgab import {wrong}')


@pytest.mark.parametrize('name', ['zzz', '__wrapped__', '_Swin'])
def test_unknown_name_is_missing_attribute(name):
    assert not hasattr(mmgab, name)


@pytest.mark.parametrize('name', ['log', 'models', 'hooks'])
def test_submodule_is_imported(name):
    namespace = {}
    exec(f'from mmgab import {name}', namespace)
    assert namespace[name].__name__ == f'mmgab.{name}'
