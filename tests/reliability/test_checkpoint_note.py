"""MMEngine's ``last_checkpoint`` file, with the path of the latest checkpoint."""

import pytest

from mmgab.reliability.checkpoint_note import last_checkpoint

NOT_A_FILE = {'empty': b'', 'line': b'\n', 'folder': b'..', 'absent': b'epoch_9.pth'}
NOT_A_PATH = {'bytes': b'\xff\xfe', 'null': b'a\0b', 'long': b'x' * 5000}


@pytest.mark.parametrize('noted', ['epoch_3.pth', '/where/it/was/epoch_3.pth', './epoch_3.pth\n'])
def test_last_checkpoint_is_found_in_a_moved_folder(noted, tmp_path):
    (tmp_path / 'epoch_3.pth').touch()
    (tmp_path / 'epoch_27.pth').touch()
    (tmp_path / 'last_checkpoint').write_text(noted)
    assert last_checkpoint(tmp_path) == tmp_path / 'epoch_3.pth'


def test_last_checkpoint_is_none_without_a_note(tmp_path):
    (tmp_path / 'epoch_3.pth').touch()
    assert last_checkpoint(tmp_path) is None


@pytest.mark.parametrize('kind', NOT_A_FILE)
def test_last_checkpoint_is_none_if_no_file_is_listed(kind, tmp_path):
    (tmp_path / 'epoch_3.pth').touch()
    (tmp_path / 'last_checkpoint').write_bytes(NOT_A_FILE[kind])
    assert last_checkpoint(tmp_path) is None


@pytest.mark.parametrize('kind', NOT_A_PATH)
def test_malformed_last_checkpoint_error_has_its_path(kind, tmp_path):
    (tmp_path / 'last_checkpoint').write_bytes(NOT_A_PATH[kind])
    with pytest.raises(ValueError, match='last_checkpoint must contain the path'):
        last_checkpoint(tmp_path)
