"""Backbones on an NVIDIA GPU; without one, all of it is skipped. ``make test-gpu``."""

import copy
import os

import pytest
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from mmgab.models import SwinGAB, ViTGAB

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason='needs an NVIDIA GPU')

SWIN = dict(embed_dims=32, depths=(2, 2), num_heads=(1, 2), strides=(4, 2), out_indices=(0, 1))
VIT = dict(
    embed_dims=48, depth=2, num_heads=3, out_indices=(1,), patch_size=8, img_size=(56, 40)
)  # fmt: skip
NETWORKS = {
    'SwinGAB': lambda: SwinGAB(**SWIN),
    'SwinGAB, unfused': lambda: SwinGAB(**SWIN, attn_backend='explicit'),
    'SwinGAB, Triton': lambda: SwinGAB(**SWIN, attn_backend='triton'),
    'ViTGAB': lambda: ViTGAB(**VIT, rel_pos_cfg=dict(type='table')),
    'ViTGAB, gates': lambda: ViTGAB(**VIT, gpsa_cfg={}),
}
SIZE = (61, 45)  # no multiple of patch or window


@pytest.fixture(params=NETWORKS)
def model(request):
    torch.manual_seed(0)
    return NETWORKS[request.param]()


def image(device='cuda'):
    return torch.linspace(-1, 1, 2 * 3 * SIZE[0] * SIZE[1]).view(2, 3, *SIZE).to(device)


def loss(maps):
    return sum(map_.float().square().mean() for map_ in maps)


def step(model, x):
    """Compute feature maps and all gradients."""
    model.zero_grad()
    maps = model(x)
    loss(maps).backward()
    return [*maps, *(parameter.grad.clone() for parameter in model.parameters())]


def on_cpu(model):
    """A copy on the CPU, where Triton does not run."""
    model = copy.deepcopy(model)
    for module in model.modules():
        if getattr(module, 'attn_backend', None) == 'triton':
            module.attn_backend = 'auto'
    return model


def assert_close(found, expected, share=1e-4):
    for one, other in zip(found, expected, strict=True):
        bound = share * max(float(other.detach().abs().max()), 1e-3)
        torch.testing.assert_close(one.cpu(), other.cpu(), rtol=0, atol=bound, check_dtype=False)


def test_outputs_and_gradients_equal_the_cpu(model):
    expected = step(on_cpu(model).eval(), image('cpu'))
    assert_close(step(model.eval().cuda(), image()), expected)


def test_moving_back_to_the_cpu_changes_nothing(model):
    model = model.eval()
    weights = copy.deepcopy(model.state_dict())
    model.cuda()(image())
    for name, tensor in model.cpu().state_dict().items():
        assert torch.equal(tensor, weights[name])


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_autocast_and_grad_scaler_train(model, dtype):
    model = model.cuda().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler('cuda', enabled=dtype == torch.float16)
    losses = []
    for _ in range(5):
        with torch.autocast('cuda', dtype):
            value = loss(model(image()))
        optimizer.zero_grad()
        scaler.scale(value).backward()
        scaler.step(optimizer)
        scaler.update()
        losses.append(float(value))
    assert all(torch.isfinite(torch.tensor(losses)))
    assert losses[-1] < losses[0]


def test_channels_last_equals_contiguous(model):
    model = model.eval().cuda()
    expected = model(image())
    found = model.to(memory_format=torch.channels_last)(
        image().contiguous(memory_format=torch.channels_last)
    )
    assert_close(found, expected)


def test_inference_is_captured_in_a_cuda_graph(model):
    model, x = model.eval().cuda(), image()
    with torch.no_grad():
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            model(x)  # makes the caches
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            maps = model(x)
        x.copy_(image().flip(2))
        graph.replay()
        assert_close(maps, model(image().flip(2)), share=1e-5)


def test_compiled_step_equals_eager(model):
    model = model.eval().cuda()
    assert_close(step(torch.compile(model), image()), step(model, image()), share=1e-3)


def test_training_does_not_synchronise(model):
    model, x = model.cuda().train(), image()
    loss(model(x)).backward()  # makes the caches
    torch.cuda.set_sync_debug_mode('error')
    try:
        loss(model(x)).backward()
    finally:
        torch.cuda.set_sync_debug_mode('default')


def test_distributed_with_nccl_equals_one_process(model, monkeypatch):
    monkeypatch.setitem(os.environ, 'MASTER_ADDR', '127.0.0.1')
    monkeypatch.setitem(os.environ, 'MASTER_PORT', '29517')
    model = model.eval().cuda()
    expected = step(model, image())
    dist.init_process_group('nccl', rank=0, world_size=1)
    try:
        found = step(DistributedDataParallel(model, device_ids=[0]), image())
    finally:
        dist.destroy_process_group()
    assert_close(found, expected)


def peak_memory(model, side):
    model.cuda().train()
    x = torch.randn(1, 3, side, side, device='cuda')
    loss(model(x)).backward()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    loss(model(x)).backward()
    return torch.cuda.max_memory_allocated() - before


def test_peak_memory_grows_linearly_with_tokens(model):
    assert peak_memory(model, 1024) < 4.6 * peak_memory(model, 512)
