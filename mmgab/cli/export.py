"""Export a trained backbone, or a whole segmentor to its logits, to ONNX or torch.export.

    mmgab export CONFIG CHECKPOINT --out upernet.onnx
    mmgab export CONFIG CHECKPOINT --part backbone --open-size --out swin.pt2

The Gaussian is folded into the tables, so the graph is a plain Swin's. The batch is open, and with
--open-size height and width are too. The graph is read back and compared with the network, for two
batch sizes and, where they are open, two more image sizes; more than 1e-4 apart is an error, and
then no file is left. Images go in as the network takes them: normalised, as the config's
data_preprocessor says.

Of a detector, the backbone is what can be exported here: regions, RoIAlign and non-maximum
suppression are not graphs of torch alone. For a whole Mask R-CNN use MMDeploy, which brings these;
fold the checkpoint for it first (mmgab fold).
"""

import argparse
import copy
import tempfile
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.model import BaseModel, BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn

from mmgab.analysis.image_channels import image_channels
from mmgab.atomic_file import put_in_place
from mmgab.config_types import is_type
from mmgab.deployment import (
    MIN_OPEN_SIDE,
    ExportError,
    OpenSizes,
    export_onnx,
    export_program,
    open_pooling_,
    verify,
)
from mmgab.engine import build_model, load_config, load_weights
from mmgab.layers.methods import methods_to_fold
from mmgab.models import SwinGAB, ViTGAB

from .arguments import add_fitting_checkpoint, add_out, add_size, add_trust
from .checkpoint_files import check_is_there
from .config_arguments import add_cfg_options, add_config
from .mistakes import CommandError

FORMATS = {'.onnx': export_onnx, '.pt2': export_program}


class Logits(nn.Module):
    """A segmentor from images to its logits, at the resolution of its head."""

    def __init__(self, segmentor: nn.Module) -> None:
        super().__init__()
        self.segmentor = segmentor

    def forward(self, images: Tensor) -> list[Tensor]:
        """Images ``(B, channels, height, width)`` to logits ``(B, classes, H, W)``."""
        return [self.segmentor(images, mode='tensor')]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_config(parser)
    add_fitting_checkpoint(parser)
    add_out(parser, required=True, help='file to write: .onnx, or .pt2 for torch.export')
    parser.add_argument(
        '--part',
        choices=['backbone', 'segmentor'],
        help='what of the model; by default the whole of a segmentor, the backbone of a detector',
    )
    add_size(
        parser,
        (512, 512),
        'of the images, in pixels: the only one unless --open-size; 512 512 by default',
    )
    parser.add_argument(
        '--open-size',
        action='store_true',
        help=f'leave height and width open, from {MIN_OPEN_SIDE} pixels for windows of 7',
    )
    add_cfg_options(parser)
    add_trust(parser)


def folded_model(config: Config, checkpoint: str, size: tuple[int, int], trust: bool) -> BaseModel:
    """The trained model of a config; a Swin's Gaussians folded, a ViT's tables of that size."""
    if is_type(config.model.backbone, ViTGAB, MODELS, config.get('default_scope')):
        config.model.backbone.img_size = size
    model = build_model(config)
    if not isinstance(model.backbone, (SwinGAB, ViTGAB)):
        raise ExportError(
            f'the backbone is {type(model.backbone).__name__}, only SwinGAB and ViTGAB are '
            "exported here: for another Swin say type='mmgab.SwinGAB' and gab_cfg=None in the "
            'config; its checkpoint loads'
        )
    print(load_weights(model, checkpoint, trust))
    backbone = model.backbone
    # Of a plain ViT the bias is a constant.
    if isinstance(backbone, SwinGAB) and methods_to_fold(backbone.state_dict()):
        backbone.fold_()
    return model


def part_of(model: BaseModel, part: str | None) -> nn.Module:
    """What is exported of a model."""
    is_segmentor = hasattr(model, 'decode_head')
    part = part or ('segmentor' if is_segmentor else 'backbone')
    if part == 'backbone':
        return model.backbone
    if not is_segmentor:
        raise ExportError(
            f'{type(model).__name__} is a detector: its regions, RoIAlign and non-maximum '
            'suppression are not exported here. Use --part backbone, or MMDeploy for all of it'
        )
    return Logits(model)


def check_sizes(args: argparse.Namespace, backbone: BaseModule) -> OpenSizes:
    """Check sizes against the network."""
    patch = backbone.patch_embed.patch_size
    if args.size[0] < patch[0] or args.size[1] < patch[1]:
        raise ExportError(f'--size must be at least a patch, {patch} pixels, got {args.size}')
    if not hasattr(backbone, 'stages'):
        if args.open_size:
            raise ExportError('--open-size: a plain ViT is exported for images of one size')
        return OpenSizes(False)
    stages = len(backbone.stages) - 1
    window = backbone.stages[-1].blocks[0].attn.window_size
    min_side = max(p * 2**stages * w for p, w in zip(patch, window, strict=True)) + 1
    if args.open_size and min(args.size) < min_side:
        raise ExportError(
            f'--open-size: sides must be at least {min_side} pixels, more than one window in the '
            f'last stage, got --size {args.size[0]} {args.size[1]}'
        )
    return OpenSizes(args.open_size, min_side)


def shapes_to_verify(images: Tensor, sizes: OpenSizes) -> list[tuple[int, ...]]:
    """Two batch sizes; two more image sizes where they are open, one no multiple of anything."""
    _, channels, height, width = images.shape
    shapes: list[tuple[int, ...]]
    shapes = [(1, channels, height, width), (3, channels, height, width)]
    if sizes.is_open:
        shapes += [(2, channels, height + 32, width + 64), (1, channels, height + 13, width + 7)]
    return shapes


def export(args: argparse.Namespace) -> None:
    """Build, export, verify; the file appears when it has passed."""
    if args.out.suffix not in FORMATS:
        raise ExportError(f'--out must end in one of {sorted(FORMATS)}, got {args.out}')
    if not args.out.parent.is_dir():
        raise ExportError(f'--out: the folder {args.out.parent} does not exist')
    config = load_config(args.config, args.cfg_options)
    check_is_there(args.checkpoint)
    model = folded_model(config, args.checkpoint, tuple(args.size), args.trust)
    sizes = check_sizes(args, model.backbone)
    module = part_of(model, args.part)
    traced = copy.deepcopy(module)
    if sizes.is_open:
        open_pooling_(traced)
    with tempfile.TemporaryDirectory(dir=args.out.parent) as folder:
        path = Path(folder, args.out.name)
        images = torch.randn(2, image_channels(model), *args.size)
        print(f'Exporting {type(module).__name__} (half a minute to a few minutes)', flush=True)
        run = FORMATS[args.out.suffix](traced, images, sizes, path)
        largest = verify(module, run, shapes_to_verify(images, sizes), print)
        put_in_place(path, args.out)
    side = f'from {sizes.min_side} pixels' if sizes.is_open else f'{args.size[0]} x {args.size[1]}'
    print(f'Written to {args.out}: images {side}, any batch, within {largest:.1e}')


def run(args: argparse.Namespace) -> None:
    """Export."""
    try:
        export(args)
    except ExportError as error:
        raise CommandError(str(error)) from error
