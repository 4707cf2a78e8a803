"""Checks of what an installation can do on this machine."""

import shutil
from importlib import util
from pathlib import Path

from .diagnosis import Outcome
from .install import install_command

_ENOUGH = 5 * 2**30  # bytes: a dozen checkpoints of Mask R-CNN with Swin-S and its optimizer
_DRIVERS = ('/dev/nvidia0', '/dev/nvidiactl')


def check_accelerator() -> Outcome:
    """Whether torch sees the GPU that is there, and which driver it has."""
    import torch

    name, built = 'CUDA', torch.version.cuda
    if torch.cuda.is_available():
        names = {torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())}
        found = f'{torch.cuda.device_count()} x {", ".join(sorted(names))}, CUDA {built}'
        torch.zeros(1, device='cuda').add_(1).cpu()
        return Outcome(name, 'PASS', found)
    if any(map(Path.exists, map(Path, _DRIVERS))):
        cure = f'install a driver for CUDA {built}' if built else 'install torch with CUDA'
        return Outcome(name, 'FAIL', f'there is a GPU, torch (CUDA {built}) cannot use it', cure)
    return Outcome(name, 'NOTE', 'no GPU: everything runs on the CPU, slowly')


def check_mmcv_ops() -> Outcome:
    """That mmcv was built with its ops, and one of them runs."""
    name = 'ops of mmcv'
    if util.find_spec('mmcv') is None or util.find_spec('mmcv._ext') is None:
        cure = (
            f'detectors need them: {install_command("mmcv")} (an mmcv built without torch installs '
            'without its ops and says nothing)'
        )
        return Outcome(name, 'FAIL', 'no mmcv._ext', cure)
    import torch
    from mmcv.ops import nms

    devices = ['cpu'] + (['cuda'] if torch.cuda.is_available() else [])
    for device in devices:
        boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 8.0, 9.0]], device=device)
        kept, _ = nms(boxes, torch.tensor([0.5, 0.9], device=device), 0.5)
        if len(kept) != 1:
            return Outcome(name, 'FAIL', f'nms on {device} is wrong', 'build mmcv anew')
    return Outcome(name, 'PASS', f'nms runs on {" and ".join(devices)}')


def check_registry(toolbox: str) -> Outcome:
    """That a toolbox finds ``mmgab.SwinGAB`` as it does in a config."""
    name = f'mmgab.SwinGAB in {toolbox}'
    if util.find_spec(toolbox) is None:
        return Outcome(name, 'NOTE', f'{toolbox} is not installed')
    registry = __import__(f'{toolbox}.registry', fromlist=['MODELS']).MODELS
    found = registry.get('mmgab.SwinGAB')
    if found is None:
        cure = 'import mmgab.models, and see what it says'
        return Outcome(name, 'FAIL', 'not in the registry', cure)
    return Outcome(name, 'PASS', f'{found.__module__}.{found.__name__}')


def check_backbone() -> Outcome:
    """A forward and a backward pass of a small SwinGAB, on what there is."""
    import torch

    from mmgab.layers.methods import METHODS
    from mmgab.models import SwinGAB

    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    backbone = SwinGAB(embed_dims=16, depths=(1, 1, 1, 1), num_heads=(1, 2, 4, 8), gab_cfg={})
    features = backbone.to(device)(torch.randn(1, 3, 70, 50, device=device))
    sum(feature.square().mean() for feature in features).backward()
    idle = [name for name, parameter in backbone.named_parameters() if parameter.grad is None]
    if idle or not all(torch.isfinite(feature).all() for feature in features):
        found = f'outputs are not finite, or there is no gradient of {idle[:3]}'
        return Outcome('forward and backward', 'FAIL', found, 'please report it')
    known = ', '.join(f'{method.name} ({method.argument})' for method in METHODS)
    return Outcome('forward and backward', 'PASS', f'on {device}; methods: {known}')


def check_disk(work_dir: Path) -> Outcome:
    """Room for checkpoints."""
    folder = next(path for path in (work_dir.resolve(), *work_dir.resolve().parents)
                  if path.exists())  # fmt: skip
    free = shutil.disk_usage(folder).free
    found = f'{free / 2**30:.1f} GiB free in {folder}'
    if free < _ENOUGH:
        cure = 'free some, or give another --work-dir: checkpoints of a detector are 0.8 GiB each'
        return Outcome('disk', 'FAIL', found, cure)
    return Outcome('disk', 'PASS', found)
