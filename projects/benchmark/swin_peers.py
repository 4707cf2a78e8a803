"""Build Swin backbones of other libraries with the weights of a SwinGAB."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from mmgab.checkpoints import Contents, export, fold
from mmgab.models import SwinGAB

VARIANTS = {
    'T': dict(depths=(2, 2, 6, 2), num_heads=(3, 6, 12, 24)),
    'S': dict(depths=(2, 2, 18, 2), num_heads=(3, 6, 12, 24)),
}
REFERENCE = 'mmdet'
_WIDTH, _WINDOW = 96, 7
# Every stage has several windows without padding, so that all libraries compute the same function.
COMMON_SIZE = (448, 448)


@dataclass(frozen=True)
class Peer:
    """A backbone to measure.

    Attributes:
        name: Name in tables.
        model: The network.
        run: Function from images to feature maps.
        is_normed: False if the library's backbone has no norm after the last stage.
        is_same: False if it computes another function, as without the Gaussian.
    """

    name: str
    model: nn.Module
    run: Callable[[Tensor], list[Tensor]]
    is_normed: bool = True
    is_same: bool = True


def build_peers(variant: str, libraries: Sequence[str]) -> list[Peer]:
    """Build backbones with the same weights, mmgab's first, and compare their outputs.

    Args:
        variant: ``'T'`` or ``'S'``.
        libraries: Names in ``LIBRARIES``.

    Returns:
        SwinGAB with the Gaussian, folded, and without it, then the backbones of the libraries.

    Raises:
        ImportError: If a library is not installed.
        RuntimeError: If outputs differ.
    """
    ours = SwinGAB(**VARIANTS[variant])
    contents = fold(Contents.of(ours.state_dict(), 'SwinGAB'))
    folded = SwinGAB(**VARIANTS[variant], gab_cfg=None)
    folded.load_state_dict(contents.swin)
    off = SwinGAB(**VARIANTS[variant], gab_cfg=None)
    off.load_state_dict({k: v for k, v in ours.state_dict().items() if '.gaussian.' not in k})
    peers = [Peer('ours', ours, ours), Peer('ours, folded', folded, folded)]
    peers.append(Peer('ours, off', off, off, is_same=False))
    for name in libraries:
        try:
            peers.append(LIBRARIES[name](variant, contents))
        except ImportError as error:
            raise ImportError(
                f'{name} cannot be imported: {error}. Select other libraries with --against'
            ) from error
    for peer in peers:
        peer.model.eval()
    _check_agreement(peers)
    return peers


def _mmdet(variant: str, contents: Contents) -> Peer:
    from mmdet.models.backbones.swin import SwinTransformer

    return _openmmlab('mmdet', SwinTransformer, variant, contents)


def _mmseg(variant: str, contents: Contents) -> Peer:
    from mmseg.models.backbones.swin import SwinTransformer

    return _openmmlab('mmseg', SwinTransformer, variant, contents)


def _openmmlab(name: str, cls: type, variant: str, contents: Contents) -> Peer:
    model = cls(**VARIANTS[variant], drop_path_rate=0.1)
    model.load_state_dict(export(contents, name)[0]['state_dict'], strict=True)
    return Peer(name, model, model)


def _timm(variant: str, contents: Contents, fused: bool = False) -> Peer:
    import timm

    model = timm.create_model(
        'swin_tiny_patch4_window7_224',
        features_only=True,
        strict_img_size=False,
        img_size=COMMON_SIZE,
        drop_path_rate=0.1,
        **VARIANTS[variant],
    )
    tensors = export(contents, 'timm')[0]
    model.load_state_dict(
        {
            name.replace('layers.', 'layers_', 1): tensor
            for name, tensor in tensors.items()
            if not name.startswith(('norm.', 'head.'))
        },
        strict=True,
    )
    for module in model.modules():
        if hasattr(module, 'fused_attn'):
            module.fused_attn = fused

    def run(x: Tensor) -> list[Tensor]:
        return [out.permute(0, 3, 1, 2) for out in model(x)]

    return Peer('timm, fused' if fused else 'timm', model, run, is_normed=False)


def _timm_fused(variant: str, contents: Contents) -> Peer:
    return _timm(variant, contents, fused=True)


def _torchvision(variant: str, contents: Contents) -> Peer:
    from torchvision.models.swin_transformer import SwinTransformer

    sizes = VARIANTS[variant]
    window = [_WINDOW, _WINDOW]
    model = SwinTransformer(
        [4, 4],
        _WIDTH,
        list(sizes['depths']),
        list(sizes['num_heads']),
        window,
        stochastic_depth_prob=0.1,
    )
    model.head = nn.Identity()
    model.load_state_dict(export(contents, 'torchvision')[0], strict=True)

    def run(x: Tensor) -> list[Tensor]:
        maps = []
        for index, layer in enumerate(model.features):
            x = layer(x)
            if index % 2:
                maps.append(x)
        maps[-1] = model.norm(maps[-1])
        return [out.permute(0, 3, 1, 2) for out in maps]

    return Peer('torchvision', model, run)


def _transformers(variant: str, contents: Contents) -> Peer:
    # `make setup` installs it in a separate folder, as it breaks mmpretrain in the environment.
    sys.path.append(str(Path(sys.prefix) / 'peers'))
    os.environ.setdefault('HF_HUB_OFFLINE', '1')
    from transformers import SwinBackbone, SwinConfig

    sizes = {name: list(values) for name, values in VARIANTS[variant].items()}
    stages = [f'stage{i + 1}' for i in range(4)]
    config = SwinConfig(embed_dim=_WIDTH, window_size=_WINDOW, out_features=stages, **sizes)
    model, report = SwinBackbone.from_pretrained(
        None,
        config=config,
        state_dict=export(contents, 'transformers')[0],
        output_loading_info=True,
    )
    if any(report.values()):
        raise RuntimeError(f'transformers did not load all weights: {report}')
    return Peer('transformers', model, lambda x: list(model(x).feature_maps))


LIBRARIES = {
    'mmdet': _mmdet,
    'mmseg': _mmseg,
    'timm': _timm,
    'timm, fused': _timm_fused,
    'torchvision': _torchvision,
    'transformers': _transformers,
}


def _check_agreement(peers: list[Peer]) -> None:
    """Check that the last feature map of every backbone equals that of the first one."""
    x = torch.randn(1, 3, *COMMON_SIZE)
    reference = None
    for peer in filter(lambda peer: peer.is_same, peers):
        with torch.no_grad():
            last = peer.run(x)[-1]
        if not peer.is_normed:
            last = nn.functional.layer_norm(last.movedim(1, -1), last.shape[1:2]).movedim(-1, 1)
        reference = last if reference is None else reference
        difference = float((last - reference).abs().max())
        if difference > 1e-4:
            raise RuntimeError(
                f'{peer.name} differs by {difference:.2g} from {peers[0].name}, allowed is 1e-4'
            )
