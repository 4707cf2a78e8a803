"""Models that tests of loading load into, ways to load, and what comes out."""

import torch
from mmengine.runner.checkpoint import load_checkpoint as mmengine_load

from mmgab.models import SwinGAB

from .projects import OURS as SIZES
from .projects import images


def features(model, height, width):
    with torch.no_grad():
        return model(images((height, width)))


def assert_equal_maps(a, b):
    for ours, theirs in zip(a, b, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def plain_torch(model, tensors):
    model.load_state_dict(tensors, strict=False)


def stock_mmengine(model, tensors, tmp_path):
    torch.save(dict(state_dict=tensors), tmp_path / 'whole.pth')
    mmengine_load(model, str(tmp_path / 'whole.pth'))


def saved(tmp_path, model):
    path = str(tmp_path / 'other.pth')
    torch.save(model.state_dict() if isinstance(model, torch.nn.Module) else model, path)
    return path


class Detector(torch.nn.Module):
    def __init__(self, classes=3, **backbone):
        super().__init__()
        self.backbone = SwinGAB(**SIZES, **backbone)
        self.head = torch.nn.Linear(4, classes)
