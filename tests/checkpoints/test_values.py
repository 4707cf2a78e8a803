"""Values that the model's dtype cannot hold raise an error with the tensor's name."""

import errno
import io

import pytest
import torch

from mmgab.checkpoints import load, load_whole_model, read_checkpoint
from mmgab.checkpoints.files import read_file
from mmgab.models import SwinGAB

from .projects import OURS

NAME = 'stages.0.blocks.0.norm1.weight'


def saved(path, change):
    """A checkpoint of a small Swin, of which one tensor is changed."""
    state = SwinGAB(**OURS).state_dict()
    state[NAME] = change(state[NAME])
    torch.save(state, path)
    return str(path)


def test_representable_float64_values_are_loaded(tmp_path):
    model = SwinGAB(**OURS)
    load(model, saved(tmp_path / 'a.pth', lambda t: t.double() * 1e30))
    assert float(model.state_dict()[NAME][0]) == pytest.approx(1e30)


@pytest.mark.parametrize('value', [1e39, -1e300])
def test_float64_values_beyond_float32_are_rejected(value, tmp_path):
    model = SwinGAB(**OURS)
    before = model.get_parameter(NAME).clone()
    with pytest.raises(ValueError, match=rf'dtype of the model cannot hold \({NAME}\)'):
        load(
            model,
            saved(tmp_path / 'a.pth', lambda t: torch.full_like(t, value, dtype=torch.double)),
        )
    assert torch.equal(model.get_parameter(NAME), before)


def test_float32_values_beyond_float16_are_rejected(tmp_path):
    with pytest.raises(ValueError, match='dtype of the model cannot hold'):
        load(SwinGAB(**OURS).half(), saved(tmp_path / 'a.pth', lambda t: t * 1e5))


def test_integers_that_would_change_are_rejected():
    model = torch.nn.Module()
    model.register_buffer('count', torch.zeros(1, dtype=torch.int32))
    load_whole_model(model, dict(count=torch.tensor([2**31 - 1])), 'x.pth', strict=True)
    with pytest.raises(ValueError, match=r'cannot hold \(count\)'):
        load_whole_model(model, dict(count=torch.tensor([2**31])), 'x.pth', strict=True)


@pytest.mark.parametrize(
    ('kind', 'change'),
    [
        ('sparse', lambda t: t.to_sparse()),
        ('sparse', lambda t: t.expand(2, -1).to_sparse_csr()),
        ('quantised', lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8)),
    ],
)
@pytest.mark.parametrize('is_zip', [True, False])
@pytest.mark.filterwarnings('ignore')
def test_sparse_and_quantised_tensors_are_rejected(kind, change, is_zip, tmp_path):
    path = tmp_path / 'a.pth'
    torch.save(dict(a=change(torch.ones(8))), path, _use_new_zipfile_serialization=is_zip)
    with pytest.raises(ValueError, match=f'a.pth cannot be loaded: it holds a {kind} tensor'):
        read_checkpoint(path)


@pytest.mark.filterwarnings('ignore')
def test_sparse_tensor_in_state_dict_is_rejected():
    model = torch.nn.Linear(4, 4)
    state = dict(model.state_dict(), weight=torch.eye(4).to_sparse())
    with pytest.raises(ValueError, match=r'1 sparse or quantised.*\(weight\)'):
        load_whole_model(model, state, 'x.pth', strict=True)


class FailingFile(io.BytesIO):
    """A file whose disk fails to read beyond an offset; simulated."""

    def __init__(self, content, place):
        super().__init__(content)
        self.place = place

    def read(self, size=-1):
        if self.tell() + (size if size >= 0 else len(self.getvalue())) > self.place:
            raise OSError(errno.EIO, 'Input/output error')
        return super().read(size)

    def readinto(self, buffer):
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)


@pytest.mark.parametrize('is_zip', [True, False])
@pytest.mark.parametrize('share', [0.01, 0.3, 0.6, 0.99])
def test_disk_read_error_is_raised_as_os_error(share, is_zip):
    """And never "no zip file", or a damaged one."""
    file = io.BytesIO()
    torch.save(dict(a=torch.ones(100)), file, _use_new_zipfile_serialization=is_zip)
    failing = FailingFile(file.getvalue(), int(share * len(file.getvalue())))
    with pytest.raises(OSError, match='Input/output error') as caught:
        read_file(failing, 'a.pth')
    assert caught.value.errno == errno.EIO
    assert caught.value.filename == 'a.pth'
