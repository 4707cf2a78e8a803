"""Data for tests of the dataset check."""

import shutil

import pytest


@pytest.fixture
def data(nuclei, tmp_path):
    """Return a copy of the nuclei that a test may damage."""
    shutil.copytree(nuclei, tmp_path / 'nuclei')
    return tmp_path / 'nuclei'
