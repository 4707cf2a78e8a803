"""Export a trained backbone or segmentor to ONNX (.onnx) or torch.export (.pt2).

The Gaussians of SwinGAB are folded into the tables, so that the graph is that of a stock Swin. The
batch size is dynamic. --open-size makes height and width dynamic, too. The input is a batch of
normalized images, as the data_preprocessor of the config returns it. The outputs of a segmentor
are its logits.

For detectors, only the backbone can be exported. Region proposals, RoIAlign and non-maximum
suppression need the custom ops of MMDeploy. To deploy a complete detector, fold its checkpoint
(mmgab fold) and export it with MMDeploy.

Examples:
    mmgab export CONFIG CHECKPOINT --out upernet.onnx
    mmgab export CONFIG CHECKPOINT --part backbone --open-size --out swin.pt2

Output: the file of --out. Before it is written, the graph is loaded and compared with the model for
several batch sizes and, with --open-size, image sizes. Differences above 1e-4 are an error.

Exit codes:
    0    the file was written and agrees with the model
    2    wrong argument, config or checkpoint, or the graph differs; no file is written
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
    """Segmentor that maps images to logits at the resolution of its head."""

    def __init__(self, segmentor: nn.Module) -> None:
        super().__init__()
        self.segmentor = segmentor

    def forward(self, images: Tensor) -> list[Tensor]:
        """Map images ``(B, channels, height, width)`` to logits ``(B, classes, H, W)``."""
        return [self.segmentor(images, mode='tensor')]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_config(parser)
    add_fitting_checkpoint(parser)
    add_out(parser, required=True, help='output file: .onnx, or .pt2 for torch.export')
    parser.add_argument(
        '--part',
        choices=['backbone', 'segmentor'],
        help='part to export; default: segmentor if the model is one, else backbone',
    )
    add_size(
        parser,
        (512, 512),
        'input size in pixels, fixed unless --open-size is given; default: 512 512',
    )
    parser.add_argument(
        '--open-size',
        action='store_true',
        help=f'dynamic height and width; minimum: {MIN_OPEN_SIDE} pixels for 7 x 7 windows',
    )
    add_cfg_options(parser)
    add_trust(parser)


def folded_model(config: Config, checkpoint: str, size: tuple[int, int], trust: bool) -> BaseModel:
    """Build the trained model, with Gaussians folded (Swin) or tables resized (ViT)."""
    if is_type(config.model.backbone, ViTGAB, MODELS, config.get('default_scope')):
        config.model.backbone.img_size = size
    model = build_model(config)
    if not isinstance(model.backbone, (SwinGAB, ViTGAB)):
        raise ExportError(
            f'the backbone is {type(model.backbone).__name__}, allowed are SwinGAB and ViTGAB. '
            "For another Swin, set type='mmgab.SwinGAB' and gab_cfg=None in the config; its "
            'checkpoint can be loaded unchanged'
        )
    print(load_weights(model, checkpoint, trust))
    backbone = model.backbone
    # The bias of a ViT is already a constant of the graph.
    if isinstance(backbone, SwinGAB) and methods_to_fold(backbone.state_dict()):
        backbone.fold_()
    return model


def part_of(model: BaseModel, part: str | None) -> nn.Module:
    """Return the module to export."""
    is_segmentor = hasattr(model, 'decode_head')
    part = part or ('segmentor' if is_segmentor else 'backbone')
    if part == 'backbone':
        return model.backbone
    if not is_segmentor:
        raise ExportError(
            f'--part segmentor: {type(model).__name__} is not a segmentor. Use --part backbone; '
            'complete detectors can be exported with MMDeploy'
        )
    return Logits(model)


def check_sizes(args: argparse.Namespace, backbone: BaseModule) -> OpenSizes:
    """Check ``--size`` and ``--open-size`` against patch and window sizes."""
    patch = backbone.patch_embed.patch_size
    if args.size[0] < patch[0] or args.size[1] < patch[1]:
        raise ExportError(f'--size must be at least the patch size {patch}, got {args.size}')
    if not hasattr(backbone, 'stages'):
        if args.open_size:
            raise ExportError(
                '--open-size is not supported by ViTGAB, which is exported for images of one size. '
                'Set --size instead'
            )
        return OpenSizes(False)
    stages = len(backbone.stages) - 1
    window = backbone.stages[-1].blocks[0].attn.window_size
    min_side = max(p * 2**stages * w for p, w in zip(patch, window, strict=True)) + 1
    if args.open_size and min(args.size) < min_side:
        raise ExportError(
            f'--open-size needs sides of at least {min_side} pixels (more than one window in the '
            f'last stage), got --size {args.size[0]} {args.size[1]}'
        )
    return OpenSizes(args.open_size, min_side)


def shapes_to_verify(images: Tensor, sizes: OpenSizes) -> list[tuple[int, ...]]:
    """Return input shapes to verify: two batch sizes and, if dynamic, two more image sizes."""
    _, channels, height, width = images.shape
    shapes: list[tuple[int, ...]]
    shapes = [(1, channels, height, width), (3, channels, height, width)]
    if sizes.is_open:
        shapes += [(2, channels, height + 32, width + 64), (1, channels, height + 13, width + 7)]
    return shapes


def export(args: argparse.Namespace) -> None:
    """Build the model, export it and verify the graph; the file is written if it agrees."""
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
        print(f'Exporting {type(module).__name__} (30 seconds to a few minutes)', flush=True)
        run = FORMATS[args.out.suffix](traced, images, sizes, path)
        largest = verify(module, run, shapes_to_verify(images, sizes), print)
        put_in_place(path, args.out)
    side = f'from {sizes.min_side} pixels' if sizes.is_open else f'{args.size[0]} x {args.size[1]}'
    print(
        f'Written to {args.out}: image size {side}, dynamic batch size, largest difference '
        f'{largest:.1e}'
    )


def run(args: argparse.Namespace) -> None:
    """Export the model."""
    try:
        export(args)
    except ExportError as error:
        raise CommandError(str(error)) from error
