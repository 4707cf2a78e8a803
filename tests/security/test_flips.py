"""A flipped bit is found, wherever it is; the long form is `python -m tests.security`."""

import pytest

from .flips import CHANGED, flip, random_bits, write_files, write_files_without_sums

pytestmark = pytest.mark.slow


def test_a_flipped_bit_anywhere_never_loads_other_values(tmp_path):
    for number, (path, sha256) in enumerate(write_files(tmp_path).values()):
        outcomes = flip(path, sha256, random_bits(path, 700, seed=number))
        assert outcomes[CHANGED] == 0
        assert outcomes['refused'] > 350


def test_every_bit_of_the_directory_of_an_archive_is_tried(tmp_path):
    """Where 0.1.0 read an unwritten buffer as weights: a record that is marked as a folder."""
    path, _ = write_files(tmp_path)['PyTorch archive']
    whole = path.read_bytes()
    start = whole.index(b'PK\x01\x02')

    bits = [(byte, bit) for byte in range(start, start + 120) for bit in range(8)]
    assert flip(path, None, bits)[CHANGED] == 0


def test_what_cannot_be_found_is_what_the_docs_say(tmp_path):
    """Damage to values in formats without sums; were it found, the docs would be wrong."""
    for path, _ in write_files_without_sums(tmp_path).values():
        assert flip(path, None, random_bits(path, 200, seed=0))[CHANGED] > 0
