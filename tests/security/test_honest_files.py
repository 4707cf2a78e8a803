"""Valid files of common libraries give bit-identical contents to PyTorch's unpickler."""

import argparse
import datetime
import threading
from collections import Counter, OrderedDict, defaultdict
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import timm
import torch
from mmengine.config import ConfigDict
from mmengine.hooks import EMAHook
from mmengine.logging import HistoryBuffer
from timm.utils import CheckpointSaver, ModelEmaV3
from torch import nn

from mmgab.checkpoints import load, read_checkpoint, write_checkpoint
from mmgab.engine import CheckedRunner
from mmgab.models import SwinGAB

from ..checkpoints.projects import OURS
from ..faults.training import config
from .equality import same

FILES = Path(__file__).parent / 'files'
NEWER_DTYPES = [
    torch.uint16, torch.uint32, torch.uint64, torch.float8_e4m3fn, torch.float8_e5m2,
]  # fmt: skip
DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32,
    torch.int16, torch.int8, torch.uint8, torch.bool, torch.complex64, torch.complex128,
    *NEWER_DTYPES,
]  # fmt: skip
OLD_FORMAT = dict(_use_new_zipfile_serialization=False)


def assert_reads_the_same(path):
    expected = torch.load(path, map_location='cpu', weights_only=False)
    assert same(expected, read_checkpoint(path))


def network():
    """A small network with buffers, and shared weights."""
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1))
    model.shared = model[2]
    return model


def trained(optimizer, **settings):
    model = network()
    optimizer = optimizer(model.parameters(), **settings)
    model(torch.randn(2, 3, 4, 4)).square().mean().backward()
    optimizer.step()
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [1, 2])
    return dict(
        model=model.state_dict(), optimizer=optimizer.state_dict(), schedule=schedule.state_dict()
    )


SCALAR_DATA = dict(
    none=None, yes=True, zero=0, large=2**40, negative=-(2**33), seed=2**63, real=0.1,
    infinite=float('inf'), text='Gauß', empty=(), nested=([1, (2, {3: [4]})],), pair={1, 'a'},
    frozen=frozenset([1]), raw=b'\x00\xff', no_bytes=b'', array=bytearray(b'ab'), z=complex(1, 2),
    part=slice(1, None), counts=Counter('aab'), ordered=OrderedDict(b=1, a=2),
    default=defaultdict(dict, a={}), args=argparse.Namespace(lr=0.1, layers=[1, 2]),
    dtype=torch.bfloat16, device=torch.device('cuda', 1), size=torch.Size([2, 3]),
    np_dtype=np.dtype('>f4'),
)  # fmt: skip


@pytest.mark.parametrize('settings', [
    {}, dict(pickle_protocol=3), dict(pickle_protocol=4), dict(pickle_protocol=5),
    OLD_FORMAT,
])  # fmt: skip
@pytest.mark.parametrize(
    'content',
    [
        SCALAR_DATA,
        {str(dtype): torch.arange(6).to(dtype).reshape(2, 3) for dtype in DTYPES},
        dict(
            view=torch.arange(24.0).reshape(4, 6)[1:3, ::2], transposed=torch.eye(3, 4).T,
            empty=torch.zeros(0, 3), number=torch.tensor(1.5), expanded=torch.ones(1).expand(5),
            parameter=nn.Parameter(torch.ones(2)), frozen=nn.Parameter(torch.ones(2), False),
            needs=torch.ones(2, requires_grad=True), last=torch.ones(1, 2, 3, 3).to(
                memory_format=torch.channels_last),
        ),
        dict(
            doubles=np.arange(6.0).reshape(2, 3), fortran=np.asfortranarray(np.eye(2, 3)),
            texts=np.array(['ab', 'c']), raw=np.array([b'ab']), yes=np.array([True]),
            big=np.arange(3, dtype='>i4'), zero=np.zeros((0, 2)), point=np.array(1.5),
            number=np.float64(0.5), flag=np.bool_(True), small=np.uint8(7), half=np.float16(0.1),
            history=HistoryBuffer([1.0, 2.0], [1, 2]), empty=HistoryBuffer(),
        ),
        trained(torch.optim.AdamW), trained(torch.optim.SGD, lr=0.1, momentum=0.9),
        trained(torch.optim.Adafactor, lr=0.1),
        ConfigDict(a=1, b=dict(c=ConfigDict(d=[1]))),
    ],
    ids=['scalars', 'dtypes', 'views', 'numpy', 'AdamW', 'SGD', 'Adafactor', 'ConfigDict'],
)  # fmt: skip
def test_torch_save_content_is_read_unchanged(content, settings, tmp_path):
    if settings == OLD_FORMAT:  # in which PyTorch cannot read its newer dtypes
        content = {k: v for k, v in content.items() if k not in map(str, NEWER_DTYPES)}
    torch.save(content, tmp_path / 'a.pth', **settings)
    assert_reads_the_same(tmp_path / 'a.pth')


def test_views_of_one_storage_share_it_after_reading(tmp_path):
    weight = torch.arange(6.0)
    torch.save(dict(a=weight, b=weight[2:]), tmp_path / 'a.pth')
    for settings in ({}, OLD_FORMAT):
        torch.save(dict(a=weight, b=weight[2:]), tmp_path / 'a.pth', **settings)
        found = read_checkpoint(tmp_path / 'a.pth')
        found['a'][2] = 100.0
        assert found['b'][0] == 100.0


def test_tensor_attributes_are_dropped_and_values_read(tmp_path):
    parameter = nn.Parameter(torch.ones(2))
    parameter.lr_scale = 0.1
    torch.save(dict(a=parameter, b=nn.Buffer(torch.ones(3))), tmp_path / 'a.pth')
    found = read_checkpoint(tmp_path / 'a.pth')
    assert torch.equal(found['a'], torch.ones(2))
    assert torch.equal(found['b'], torch.ones(3))
    assert not hasattr(found['a'], 'lr_scale')


def test_paths_are_read_as_pure_paths(tmp_path):
    torch.save(dict(output=Path('a') / 'b'), tmp_path / 'a.pth')
    assert read_checkpoint(tmp_path / 'a.pth')['output'] == PurePosixPath('a/b')


@pytest.mark.parametrize('name', ['numpy_1.pth', 'numpy_1_legacy.pth', 'lightning.ckpt'])
def test_files_of_other_libraries_are_read_unchanged(name):
    assert_reads_the_same(FILES / name)


def test_timm_training_checkpoint_with_ema_is_read_unchanged(tmp_path):
    model = timm.create_model('test_vit', num_classes=3)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(1, 3, 160, 160)).sum().backward()
    optimizer.step()
    args = argparse.Namespace(model='test_vit', lr=1e-3, mean=(0.5,), opt_betas=None)
    saver = CheckpointSaver(
        model, optimizer, args=args, model_ema=ModelEmaV3(model), checkpoint_dir=tmp_path,
        recovery_dir=tmp_path,
    )  # fmt: skip
    saver.save_checkpoint(3, metric=0.5)
    assert_reads_the_same(tmp_path / 'last.pth.tar')


@pytest.mark.process
@pytest.mark.parametrize('hooks', [[], [dict(type='EMAHook', momentum=0.1)]], ids=['', 'EMA'])
def test_mmengine_run_checkpoint_is_read_unchanged(hooks, nuclei, tmp_path):
    settings = config(tmp_path, nuclei, **{
        'train_cfg.max_epochs': 1, 'train_dataloader.batch_size': 32,
        'default_hooks.checkpoint': dict(_delete_=True, type='CheckpointHook', interval=1),
    })  # fmt: skip
    settings.custom_hooks += hooks
    settings.experiment_name = tmp_path.name
    runner = CheckedRunner.from_cfg(settings)
    assert any(isinstance(hook, EMAHook) for hook in runner.hooks) == bool(hooks)
    runner.train()
    assert_reads_the_same(tmp_path / 'epoch_1.pth')
    assert read_checkpoint(tmp_path / 'epoch_1.pth')['message_hub']['log_scalars']


def test_safetensors_tensors_are_copied(tmp_path):
    """Overwriting or truncating the file later does not change loaded tensors."""
    path = tmp_path / 'a.safetensors'
    write_checkpoint(dict(a=torch.ones(100_000)), path)
    found = read_checkpoint(path)
    with open(path, 'r+b') as file:
        file.seek(200)
        file.write(bytes(1000))
        file.truncate(1200)
    assert torch.equal(found['a'], torch.ones(100_000))


def test_safetensors_of_other_library_are_read(tmp_path):
    from safetensors.torch import save_file

    weights = {str(d): torch.arange(6).to(d).reshape(2, 3) for d in DTYPES if not d.is_complex}
    save_file(weights, tmp_path / 'a.safetensors')
    found = read_checkpoint(tmp_path / 'a.safetensors')
    assert same(weights, {name: found[name] for name in weights})
    assert found.keys() == weights.keys()


def test_reading_in_threads_keeps_safe_globals_of_caller(
    tmp_path,
):
    history = HistoryBuffer([1.0, 2.0], [1, 1])
    torch.save(dict(a=torch.arange(9.0), h=history), tmp_path / 'a.pth')
    torch.serialization.add_safe_globals([datetime.timedelta])
    before, failures = set(torch.serialization.get_safe_globals()), []

    def read():
        try:
            for _ in range(20):
                assert read_checkpoint(tmp_path / 'a.pth')['h'].mean() == 1.5
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert set(torch.serialization.get_safe_globals()) == before


def test_backbone_loads_from_every_format(tmp_path):
    source = SwinGAB(**OURS)
    state = source.state_dict()
    torch.save(dict(state_dict=state), tmp_path / 'zip.pth')
    torch.save(state, tmp_path / 'legacy.pth', **OLD_FORMAT)
    write_checkpoint(state, tmp_path / 'a.safetensors')
    for path in sorted(tmp_path.iterdir()):
        model = SwinGAB(**OURS)
        load(model, path)
        assert all(torch.equal(state[n], t) for n, t in model.state_dict().items())


def test_meta_device_read_gives_shapes_without_reading_tensors(tmp_path):
    path = tmp_path / 'a.pth'
    torch.save(dict(a=torch.full((500,), 7.0), meta=dict(iter=3)), path)
    content = bytearray(path.read_bytes())
    content[content.index(torch.full((9,), 7.0).numpy().tobytes())] ^= 1  # which reading would find
    path.write_bytes(content)
    found = read_checkpoint(path, 'meta')
    assert found['a'].shape == (500,)
    assert found['a'].is_meta
    assert found['meta'] == dict(iter=3)
