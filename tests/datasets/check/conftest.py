"""Data that tests of the check damage."""

import shutil

import pytest


@pytest.fixture
def data(nuclei, tmp_path):
    """A copy that may be damaged."""
    shutil.copytree(nuclei, tmp_path / 'nuclei')
    return tmp_path / 'nuclei'
