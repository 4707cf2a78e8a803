"""Training step of Mask R-CNN on nuclei, with the backbone of mmgab or the stock backbone."""

import copy
import itertools
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner

from mmgab.engine import check_data, load_config

from .sections import in_turn
from .swin_peers import REFERENCE, Peer

ROOT = Path(__file__).resolve().parent.parent.parent
CONFIG = 'configs/mask_rcnn_swin_gab_nuclei.py'
_STOCK = 'SwinTransformer'
_STEPS_PER_ROUND = 5  # a step is short, so that more of them take as long as other sections


def measure_detector(peers: list[Peer], device: str, args: Namespace) -> dict:
    """Measure data loading, forward, backward and optimizer step on the real training set."""
    config = load_config(str(ROOT / CONFIG))
    config.train_dataloader.dataset.data_root = str(
        ROOT / config.train_dataloader.dataset.data_root
    )
    check_data(config, ('train_dataloader',))
    with DefaultScope.overwrite_default_scope('mmdet'):
        loader = Runner.build_dataloader(config.train_dataloader, seed=0)
        runs = {
            'ours': _steps(config, 'mmgab.SwinGAB', loader, device),
            REFERENCE: _steps(config, _STOCK, loader, device),
        }
        rounds = _STEPS_PER_ROUND * args.rounds
        return {'Mask R-CNN, nuclei, a training step': in_turn('detector', runs, rounds, REFERENCE)}


def _steps(
    config: Config, backbone: str, loader: torch.utils.data.DataLoader, device: str
) -> Callable:
    """Return a function that runs one training step."""
    cfg = copy.deepcopy(config.model)
    cfg.backbone.type = backbone
    if backbone == _STOCK:
        cfg.backbone.pop('gab_cfg', None)
    torch.manual_seed(0)
    model = MODELS.build(cfg).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    batches = itertools.cycle(loader)

    def step() -> None:
        data = model.data_preprocessor(next(batches), training=True)
        loss, _ = model.parse_losses(model(**data, mode='loss'))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step
