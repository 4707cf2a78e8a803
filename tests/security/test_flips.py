"""Flipped bits are detected anywhere in a file; the long form is `python -m tests.security`."""

import pytest

from .flips import CHANGED, flip, random_bits, write_files, write_files_without_sums

pytestmark = pytest.mark.slow


def test_flipped_bit_never_loads_changed_values(tmp_path):
    for number, (path, sha256) in enumerate(write_files(tmp_path).values()):
        outcomes = flip(path, sha256, random_bits(path, 700, seed=number))
        assert outcomes[CHANGED] == 0
        assert outcomes['refused'] > 350


def test_every_bit_of_archive_directory_is_flipped(tmp_path):
    """Where 0.1.0 read an unwritten buffer as weights: a record that is marked as a folder."""
    path, _ = write_files(tmp_path)['PyTorch archive']
    whole = path.read_bytes()
    start = whole.index(b'PK\x01\x02')

    bits = [(byte, bit) for byte in range(start, start + 120) for bit in range(8)]
    assert flip(path, None, bits)[CHANGED] == 0


def test_undetected_bit_flips_match_docs(tmp_path):
    """Damage to values in formats without checksums, which the docs report as undetected."""
    for path, _ in write_files_without_sums(tmp_path).values():
        assert flip(path, None, random_bits(path, 200, seed=0))[CHANGED] > 0
