"""The file that MMEngine leaves beside checkpoints, which names the latest."""

import pytest

from mmgab.reliability.checkpoint_note import last_checkpoint


@pytest.mark.parametrize(
    'noted', ['epoch_3.pth', '/where/it/was/trained/epoch_3.pth', './epoch_3.pth\n']
)
def test_last_checkpoint_is_the_file_of_that_name_wherever_the_folder_is(noted, tmp_path):
    (tmp_path / 'epoch_3.pth').touch()
    (tmp_path / 'epoch_27.pth').touch()
    (tmp_path / 'last_checkpoint').write_text(noted)
    assert last_checkpoint(tmp_path) == tmp_path / 'epoch_3.pth'


@pytest.mark.parametrize(
    'noted', [None, b'', b'..', b'epoch_9.pth', b'\xff\xfe', b'a\0b', b'x' * 10**5]
)
def test_last_checkpoint_is_none_where_no_file_is_named(noted, tmp_path):
    (tmp_path / 'epoch_3.pth').touch()
    if noted is not None:
        (tmp_path / 'last_checkpoint').write_bytes(noted)
    assert last_checkpoint(tmp_path) is None
