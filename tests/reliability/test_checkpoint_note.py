"""The file that MMEngine leaves beside checkpoints, which names the latest."""

import pytest

from mmgab.reliability.checkpoint_note import last_checkpoint

NOT_A_FILE = {'empty': b'', 'line': b'\n', 'folder': b'..', 'absent': b'epoch_9.pth'}
NOT_A_PATH = {'bytes': b'\xff\xfe', 'null': b'a\0b', 'long': b'x' * 5000}


@pytest.mark.parametrize('noted', ['epoch_3.pth', '/where/it/was/epoch_3.pth', './epoch_3.pth\n'])
def test_last_checkpoint_is_the_file_of_that_name_wherever_the_folder_is(noted, tmp_path):
    (tmp_path / 'epoch_3.pth').touch()
    (tmp_path / 'epoch_27.pth').touch()
    (tmp_path / 'last_checkpoint').write_text(noted)
    assert last_checkpoint(tmp_path) == tmp_path / 'epoch_3.pth'


def test_last_checkpoint_is_none_where_nothing_was_noted(tmp_path):
    (tmp_path / 'epoch_3.pth').touch()
    assert last_checkpoint(tmp_path) is None


@pytest.mark.parametrize('kind', NOT_A_FILE)
def test_last_checkpoint_is_none_where_no_file_is_named(kind, tmp_path):
    (tmp_path / 'epoch_3.pth').touch()
    (tmp_path / 'last_checkpoint').write_bytes(NOT_A_FILE[kind])
    assert last_checkpoint(tmp_path) is None


@pytest.mark.parametrize('kind', NOT_A_PATH)
def test_last_checkpoint_says_which_file_holds_no_path(kind, tmp_path):
    (tmp_path / 'last_checkpoint').write_bytes(NOT_A_PATH[kind])
    with pytest.raises(ValueError, match='last_checkpoint must hold the path'):
        last_checkpoint(tmp_path)
