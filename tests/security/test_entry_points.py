"""Every entry point that reads files, with a file that contains executable pickle code."""

import os
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from mmengine.model import BaseModule, Sequential
from mmengine.registry import MODELS
from torch import nn

from mmgab.checkpoints import load
from mmgab.checkpoints.mmengine_loaders import trusting
from mmgab.engine import CheckedRunner
from mmgab.models import SwinGAB

from ..checkpoints.projects import OURS
from ..cli.runs import SEGMENTATION, options
from ..conftest import start_tool
from ..faults.training import config, train
from .assembler import as_legacy, as_zip, program
from .attacks import CALLS, MARKER, inside

pytestmark = pytest.mark.process

# The three ways by which version 0.1.0 ran what a file contains.
WAYS = ('getattr of getattr', 'a class as its own state setter', 'a tensor of a type')
CONFIG = 'configs/upernet_swin_gab_nuclei.py'


class Touches:
    """Pickles to a call that makes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture
def evil(tmp_path):
    """Weights, together with a call that makes a folder."""
    path = tmp_path / 'evil.pth'
    state = dict(weight=torch.ones(2, 2), bias=torch.zeros(2))
    torch.save(dict(state_dict=state, extra=Touches(tmp_path / MARKER)), path)
    return path


@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize('wrap', [as_zip, as_legacy], ids=['zip', 'legacy'])
def test_inspect_runs_no_pickle_code(wrap, way, tmp_path):
    (tmp_path / 'evil.pth').write_bytes(wrap(inside(CALLS[way])))
    done = start_tool('tools/model_converters/convert.py', 'inspect', 'evil.pth', cwd=tmp_path)
    assert done.returncode != 0
    assert 'evil.pth is rejected: it contains executable pickle code' in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ['evil.pth']


@pytest.mark.parametrize('tool', ['test', 'resume', 'load_from', 'init_cfg'])
def test_train_and_test_run_no_pickle_code(tool, nuclei, tmp_path):
    evil = tmp_path / 'evil.pth'
    evil.write_bytes(as_zip(inside(CALLS['a class as its own state setter'])))
    before = ['tools/test.py', CONFIG, evil] if tool == 'test' else ['tools/train.py', CONFIG]
    after = {
        'load_from': [f'load_from={evil}'],
        'init_cfg': ['model.decode_head.init_cfg.type=Pretrained',
                     f'model.decode_head.init_cfg.checkpoint={evil}'],
    }.get(tool, [])  # fmt: skip
    resume = ['--resume', evil] if tool == 'resume' else []
    done = start_tool(
        *before, *resume, '--work-dir', tmp_path / 'work', *options(nuclei, SEGMENTATION, *after),
        env=dict(PWD=str(tmp_path)),
    )  # fmt: skip
    assert done.returncode != 0
    assert 'evil.pth is rejected: it contains executable pickle code' in done.stdout
    assert not list(tmp_path.rglob(MARKER))


@MODELS.register_module()
class Lines(BaseModule):
    """A model, neck or head with weights of its own."""

    def __init__(self, init_cfg=None):
        super().__init__(init_cfg)
        self.weight, self.bias = nn.Parameter(torch.zeros(2, 2)), nn.Parameter(torch.zeros(2))


def initialised(checkpoint, depth=0):
    """A module with ``init_cfg``, inside others that many levels deep."""
    module = MODELS.build(
        dict(type='Lines', init_cfg=dict(type='Pretrained', checkpoint=str(checkpoint)))
    )
    whole = module
    for _ in range(depth):
        whole = Sequential(whole)
    whole.init_weights()
    return module


@pytest.mark.parametrize('depth', [0, 1, 2])
def test_init_cfg_runs_no_pickle_code_and_loads_valid_files(depth, evil, tmp_path):
    with pytest.raises(ValueError, match=r'evil\.pth is rejected'):
        initialised(evil, depth)
    assert not (tmp_path / MARKER).exists()
    torch.save(dict(weight=torch.ones(2, 2), bias=torch.ones(2)), tmp_path / 'sound.pth')
    assert float(initialised(tmp_path / 'sound.pth', depth).weight.sum()) == 4


def test_init_cfg_with_url_runs_no_pickle_code(evil, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path / 'hub'))
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    handler.log_message = lambda *args: None
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(ValueError, match=r'evil\.pth .* is rejected'):
            initialised(f'http://127.0.0.1:{server.server_port}/evil.pth')
        server.shutdown()
    assert not (tmp_path / MARKER).exists()


def test_only_trust_unpickles_and_it_compares_checksums(evil, tmp_path):
    content = evil.read_bytes()
    place = content.index(torch.ones(2, 2).numpy().tobytes())
    evil.write_bytes(content[:place] + b'\1' + content[place + 1 :])
    with trusting(True), pytest.raises(ValueError, match=r'checksum of .*data/0 does not'):
        initialised(evil)
    assert not (tmp_path / MARKER).exists()
    evil.write_bytes(content)
    with trusting(True):
        initialised(evil)
    assert (tmp_path / MARKER).exists()


SHORT = {'train_dataloader.batch_size': 32, 'train_cfg.max_epochs': 1}


@pytest.fixture(scope='module')
def begun(nuclei, tmp_path_factory):
    """A run of an epoch."""
    work_dir = tmp_path_factory.mktemp('begun')
    code, log = train(config(work_dir, nuclei, **SHORT))
    assert code == 0, log
    return work_dir / 'epoch_1.pth'


def changed(begun, path, change):
    """Write a run's checkpoint with something else in it."""
    checkpoint = torch.load(begun, weights_only=False)
    change(checkpoint)
    torch.save(checkpoint, path)


def resumed(begun, work_dir, nuclei, change):
    """Resume a run from a checkpoint that was changed."""
    changed(begun, work_dir / 'epoch_1.pth', change)
    return train(config(work_dir, nuclei, **{**SHORT, 'train_cfg.max_epochs': 2}, resume=True))


@pytest.mark.parametrize('name', ['config', 'cfg', 'gpu_ids'])
def test_config_text_in_meta_is_never_executed(name, begun, nuclei, tmp_path):
    code = f'import os\nos.mkdir({str(tmp_path / MARKER)!r})\ngpu_ids = range(0, 1)\n'
    done, log = resumed(
        begun, tmp_path, nuclei, lambda checkpoint: checkpoint['meta'].update({name: code})
    )
    assert done == 0, log
    assert not (tmp_path / MARKER).exists()


@pytest.mark.parametrize('is_saved', [True, False])
def test_config_text_of_resumed_file_is_not_saved_again(is_saved, begun, nuclei, tmp_path):
    """Where other tools would run it: a new checkpoint has the config of its own run."""

    def change(checkpoint):
        checkpoint['message_hub']['runtime_info']['cfg'] = 'import antigravity'
        checkpoint['message_hub']['resumed_keys']['cfg'] = is_saved

    done, log = resumed(begun, tmp_path, nuclei, change)
    assert done == 0, log
    last = torch.load(tmp_path / 'epoch_2.pth', weights_only=False)
    assert 'antigravity' not in last['message_hub']['runtime_info']['cfg']
    assert 'max_epochs' in last['message_hub']['runtime_info']['cfg']


@pytest.mark.parametrize('text', ['gpu_ids = range(0, 8)', 'a = 1\ngpu_ids = [0, 1, 2]\n'])
def test_gpu_ids_in_config_text_are_parsed_as_text(text, begun, nuclei, tmp_path):
    done, log = resumed(
        begun, tmp_path, nuclei, lambda checkpoint: checkpoint['meta'].update(config=text)
    )
    assert done == 0, log
    assert 'this run has 1' in log


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda c: c.pop('message_hub'), 'it has no meta and message_hub'),
        (lambda c: c.update(meta=[]), 'it has no meta and message_hub'),
        (lambda c: c['meta'].update(epoch='1'), "meta.epoch must be an integer >= 0, got '1'"),
        (lambda c: c['meta'].update(iter=-3), 'meta.iter must be an integer >= 0, got -3'),
        (lambda c: c['meta'].update(epoch=True), 'meta.epoch must be an integer'),
        (lambda c: c['meta'].update(seed=2**70), 'integer from 0 to 4294967295, got 118059162'),
    ],
)
def test_state_of_wrong_type_is_rejected(change, message, begun, nuclei, tmp_path):
    changed(begun, tmp_path / 'changed.pth', change)
    shutil.copy(begun, tmp_path)
    more = config(tmp_path, nuclei, **SHORT, resume=True)
    more.load_from, more.experiment_name = str(tmp_path / 'changed.pth'), tmp_path.name
    with pytest.raises(ValueError, match=r'changed\.pth cannot be resumed from') as caught:
        CheckedRunner.from_cfg(more).train()
    assert message in str(caught.value)
    assert str(caught.value).endswith(f'can be resumed from: {Path(tmp_path, "epoch_1.pth")}')


def moments(checkpoint):
    """The optimizer's state of the largest parameter."""
    return max(checkpoint['optimizer']['state'].values(), key=lambda s: s['exp_avg'].numel())


def test_optimizer_state_of_wrong_shape_is_rejected(begun, nuclei, tmp_path):
    """A fused kernel would write outside of its memory."""
    done, log = resumed(
        begun, tmp_path, nuclei, lambda c: moments(c).update(exp_avg_sq=torch.zeros(1))
    )
    assert done == 1
    assert 'exp_avg_sq of the optimizer has the shape (1,), its parameter' in log


def test_optimizer_state_with_shared_memory_is_copied(begun, nuclei, tmp_path):
    """And the file does not choose the kernel."""

    def change(checkpoint):
        state = moments(checkpoint)
        state['exp_avg_sq'] = torch.ones(1).expand(state['exp_avg_sq'].shape)
        checkpoint['optimizer']['param_groups'][0].update(fused=True, foreach=None)

    done, log = resumed(begun, tmp_path, nuclei, change)
    assert done == 0, log
    last = torch.load(tmp_path / 'epoch_2.pth', weights_only=False)
    assert moments(last)['exp_avg_sq'].unique().numel() > 1
    assert not last['optimizer']['param_groups'][0]['fused']


def test_stock_hook_does_not_delete_best_ckpt_path_from_file(begun, nuclei, tmp_path):
    """It removes whatever path the file has, folders too, at the next best score."""
    victim = tmp_path / 'victim'
    victim.mkdir()
    stock = dict(_delete_=True, type='CheckpointHook', interval=1, save_best='error', rule='less')

    def change(checkpoint):
        info = checkpoint['message_hub']['runtime_info']
        info.update(best_ckpt=str(victim), best_score=1e9, keep_ckpt_ids=['../victim'])
        keys = ('best_ckpt', 'best_score', 'keep_ckpt_ids')
        checkpoint['message_hub']['resumed_keys'].update(dict.fromkeys(keys, True))

    work_dir = tmp_path / 'work'
    work_dir.mkdir()
    changed(begun, work_dir / 'epoch_1.pth', change)
    more = {**SHORT, 'train_cfg.max_epochs': 2, 'default_hooks.checkpoint': stock}
    code, log = train(config(work_dir, nuclei, **more, resume=True))
    assert code == 0, log
    assert victim.is_dir()
    assert list(work_dir.glob('best_error_epoch_2.pth'))


@pytest.mark.parametrize('position', [10**6, -1, 2**62, 'a'])
def test_random_state_with_invalid_position_is_rejected(position, begun, nuclei, tmp_path):
    """NumPy would read beyond the end of its state."""

    def change(checkpoint):
        states = checkpoint['exact_resume']['states'][0]
        kind, keys, _, *rest = states['numpy']
        states['numpy'] = (kind, keys, position, *rest)

    done, log = resumed(begun, tmp_path, nuclei, change)
    assert done == 1
    assert f'the state of NumPy is at {position!r} of 624 numbers' in log


def test_file_metadata_does_not_replace_parameters(tmp_path):
    """PyTorch's ``assign_to_params_buffers`` would, and optimizers hold the old ones."""
    model = SwinGAB(**OURS)
    state = SwinGAB(**OURS).half().state_dict()
    for note in state._metadata.values():
        note['assign_to_params_buffers'] = True
    torch.save(state, tmp_path / 'a.pth')
    before = dict(model.named_parameters())
    load(model, tmp_path / 'a.pth')
    assert all(before[name] is p for name, p in model.named_parameters())
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_huge_indices_or_many_swins_are_rejected_quickly(tmp_path):
    weight = torch.zeros(1)
    qkv = 'blocks.0.attn.w_msa.qkv.weight'
    for names, message in (
        ([f'stages.100000000000.{qkv}', f'stages.0.{qkv}'], 'does not fit'),
        ([f'stages.0.{qkv}', 'stages.100000000000.blocks.0.norm1.weight'], 'does not fit'),
        ([f'a{i}.stages.0.{qkv}' for i in range(20_000)], 'the file holds 20000 Swins'),
        ([f'stages.0.{qkv}', '\x1b[31mred\n'], r'\\x1b\[31mred\\n'),
    ):
        torch.save({name: weight for name in names}, tmp_path / 'a.pth')
        with pytest.raises(ValueError, match=message):
            load(SwinGAB(**OURS), tmp_path / 'a.pth')


def test_bare_pickle_program_is_rejected(tmp_path):
    (tmp_path / 'evil.pth').write_bytes(program(CALLS['exec']))
    with pytest.raises(ValueError, match=r'evil\.pth'):
        initialised(tmp_path / 'evil.pth')
