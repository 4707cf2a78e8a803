"""Checks of hardware, compiled ops, registries and disk space."""

import shutil
from importlib import util
from pathlib import Path

from .diagnosis import Outcome
from .install import install_command

_MIN_FREE = 5 * 2**30  # bytes; about six checkpoints of Mask R-CNN with Swin-S and AdamW
_DRIVERS = ('/dev/nvidia0', '/dev/nvidiactl')


def check_accelerator() -> Outcome:
    """Check that torch can use the GPU of this machine."""
    import torch

    name, built = 'CUDA', torch.version.cuda
    if torch.cuda.is_available():
        names = {torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())}
        found = f'{torch.cuda.device_count()} x {", ".join(sorted(names))}, CUDA {built}'
        torch.zeros(1, device='cuda').add_(1).cpu()
        return Outcome(name, 'PASS', found)
    if any(map(Path.exists, map(Path, _DRIVERS))):
        fix = (
            f'install a driver for CUDA {built}' if built else 'install a build of torch with CUDA'
        )
        return Outcome(name, 'FAIL', f'torch (CUDA: {built}) cannot use the GPU', fix)
    return Outcome(name, 'NOTE', 'no GPU found; training runs on the CPU and is slow')


def check_mmcv_ops() -> Outcome:
    """Check that mmcv has its compiled ops, and that one of them runs."""
    name = 'ops of mmcv'
    if util.find_spec('mmcv') is None or util.find_spec('mmcv._ext') is None:
        fix = (
            f'{install_command("mmcv")}; detectors need these ops, which are missing if mmcv was '
            'built without torch'
        )
        return Outcome(name, 'FAIL', 'no mmcv._ext', fix)
    import torch
    from mmcv.ops import nms

    devices = ['cpu'] + (['cuda'] if torch.cuda.is_available() else [])
    for device in devices:
        boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 8.0, 9.0]], device=device)
        kept, _ = nms(boxes, torch.tensor([0.5, 0.9], device=device), 0.5)
        if len(kept) != 1:
            fix = f'rebuild mmcv: {install_command("mmcv")}'
            return Outcome(name, 'FAIL', f'nms on {device} returns a wrong result', fix)
    return Outcome(name, 'PASS', f'nms runs on {" and ".join(devices)}')


def check_registry(toolbox: str) -> Outcome:
    """Check that the registry of a toolbox finds ``mmgab.SwinGAB``."""
    name = f'mmgab.SwinGAB in {toolbox}'
    if util.find_spec(toolbox) is None:
        return Outcome(name, 'NOTE', f'{toolbox} is not installed')
    registry = __import__(f'{toolbox}.registry', fromlist=['MODELS']).MODELS
    found = registry.get('mmgab.SwinGAB')
    if found is None:
        fix = "run `python -c 'import mmgab.models'` to see the import error"
        return Outcome(name, 'FAIL', 'not in the registry', fix)
    return Outcome(name, 'PASS', f'{found.__module__}.{found.__name__}')


def check_backbone() -> Outcome:
    """Run a forward and a backward pass of a small SwinGAB, on the GPU if there is one."""
    import torch

    from mmgab.layers.methods import METHODS
    from mmgab.models import SwinGAB

    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    backbone = SwinGAB(embed_dims=16, depths=(1, 1, 1, 1), num_heads=(1, 2, 4, 8), gab_cfg={})
    features = backbone.to(device)(torch.randn(1, 3, 70, 50, device=device))
    sum(feature.square().mean() for feature in features).backward()
    unused = [name for name, parameter in backbone.named_parameters() if parameter.grad is None]
    if unused or not all(torch.isfinite(feature).all() for feature in features):
        found = f'outputs are not finite, or parameters have no gradient: {unused[:3]}'
        fix = 'report this as an issue of mmgab, with the output of mmgab doctor'
        return Outcome('forward and backward', 'FAIL', found, fix)
    known = ', '.join(f'{method.name} ({method.argument})' for method in METHODS)
    return Outcome('forward and backward', 'PASS', f'on {device}; methods: {known}')


def check_disk(work_dir: Path) -> Outcome:
    """Check the free disk space for checkpoints."""
    folder = next(path for path in (work_dir.resolve(), *work_dir.resolve().parents)
                  if path.exists())  # fmt: skip
    free = shutil.disk_usage(folder).free
    found = f'{free / 2**30:.1f} GiB free in {folder}'
    if free < _MIN_FREE:
        fix = (
            f'free at least {_MIN_FREE / 2**30:.0f} GiB, or choose another --work-dir; each '
            'checkpoint of a detector has 0.8 GiB'
        )
        return Outcome('disk', 'FAIL', found, fix)
    return Outcome('disk', 'PASS', found)
