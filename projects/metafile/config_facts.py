"""Metadata of a config, read from its settings and its model on the meta device."""

import re
from pathlib import Path

from mmengine.config import Config
from mmengine.model import BaseModel

from mmgab.cli.list_configs import DATA_SETS
from mmgab.engine import load_config
from mmgab.models import SwinGAB

from .model_counts import build_on_meta, count_flops, count_parameters

COCO_SIZE = (800, 1280)  # height and width that MMDetection's zoo counts FLOPs for
# Folders in data/ that are named differently from the data set.
_FOLDERS = {'ade': 'ade20k'}
_ARCHITECTURES = {
    'MaskRCNN': 'Mask R-CNN',
    'CascadeRCNN': 'Cascade Mask R-CNN',
    'RetinaNet': 'RetinaNet',
    'UPerHead': 'UPerNet',
}
# Backbones by channels of the first stage and number of blocks.
_SWINS = {(96, 12): 'Swin-T', (96, 24): 'Swin-S', (128, 24): 'Swin-B', (192, 24): 'Swin-L'}
_VITS = {(192, 12): 'ViT-Ti', (384, 12): 'ViT-S', (768, 12): 'ViT-B', (1024, 24): 'ViT-L'}
# Settings of a backbone that add a method, and their values where a config leaves them out.
_METHODS = {
    'gab_cfg': ('Gaussian Attention Bias', {}),
    'cb_cfg': ('Context Broadcasting', None),
    'gpsa_cfg': ('Gated Positional Self-Attention', None),
}


def facts_of(file: Path) -> dict:
    """Measure a config.

    Args:
        file: The config, in ``configs/``.

    Returns:
        Generated fields of its entry in the metafile.
    """
    config = load_config(str(file))
    model = build_on_meta(config)
    backbone, size = name_of_backbone(model), image_size(config)
    return {
        'Name': file.stem,
        'In Collection': type(model.backbone).__name__,
        'Config': f'configs/{file.name}',
        'Metadata': {
            'Task': task_of(config),
            'Training Data': DATA_SETS[data_set_of(config)],
            **training_length(config),
            'Batch Size': config.train_dataloader.batch_size * gpus_of(file),
            'Training Techniques': techniques_of(config),
            'Architecture': architecture_of(config, backbone),
            'Backbone': backbone,
            'Parameters': count_parameters(model),
            'FLOPs': count_flops(model.backbone, size),
            'Image Size': f'{size[0]} x {size[1]}',
        },
    }


def task_of(config: Config) -> str:
    """Return the task, as MMDetection's and MMSegmentation's metafiles call it."""
    if config.default_scope == 'mmseg':
        return 'Semantic Segmentation'
    if config.default_scope == 'mmpretrain':
        return 'Image Classification'
    has_masks = 'mask_head' in config.model.get('roi_head', {})
    return 'Instance Segmentation' if has_masks else 'Object Detection'


def data_set_of(config: Config) -> str:
    """Return the short name of the training data, from its folder in ``data/``."""
    folder = Path(config.train_dataloader.dataset.data_root).parts[1]
    return _FOLDERS.get(folder, folder)


def training_length(config: Config) -> dict[str, int]:
    """Return epochs or iterations of training."""
    loop = config.train_cfg
    if 'max_epochs' in loop:
        return {'Epochs': loop.max_epochs}
    return {'Iterations': loop.max_iters}


def gpus_of(file: Path) -> int:
    """Return the number of GPUs in the training command at the top of a config."""
    command = re.search(rf'dist_train\.sh configs/{file.name} (\d+)', file.read_text())
    return int(command[1]) if command else 1


def techniques_of(config: Config) -> list[str]:
    """Return the optimizer, and mixed precision if it is used."""
    wrapper = config.optim_wrapper
    is_mixed = wrapper.get('type') == 'AmpOptimWrapper'
    return [wrapper.optimizer.type, *(['Mixed Precision'] if is_mixed else [])]


def architecture_of(config: Config, backbone: str) -> list[str]:
    """Return the head, the backbone and the methods in it."""
    types = (config.model.type, config.model.get('decode_head', {}).get('type'))
    heads = [_ARCHITECTURES[name] for name in types if name in _ARCHITECTURES]
    settings = config.model.backbone
    methods = [
        title
        for key, (title, default) in _METHODS.items()
        if settings.get(key, default) is not None
    ]
    return [*heads, backbone, *methods]


def name_of_backbone(model: BaseModel) -> str:
    """Return the variant of a backbone, such as Swin-S; ``custom`` for any other size."""
    backbone = model.backbone
    if isinstance(backbone, SwinGAB):
        blocks = [block for stage in backbone.stages for block in stage.blocks]
        return _SWINS.get((backbone.num_features[0], len(blocks)), 'Swin-custom')
    channels = backbone.blocks[0].attn.embed_dims
    return _VITS.get((channels, len(backbone.blocks)), 'ViT-custom')


def image_size(config: Config) -> tuple[int, int]:
    """Return height and width of the images that FLOPs are counted for.

    Segmentors: the training crop. Classifiers: the center crop of the test pipeline. Detectors:
    800 x 1280 for COCO, otherwise the size that the test pipeline resizes to.
    """
    if config.default_scope == 'mmseg':
        height, width = config.model.data_preprocessor.size
        return height, width
    if data_set_of(config) == 'coco':
        return COCO_SIZE
    pipeline = config.test_dataloader.dataset.pipeline
    steps = {step.type.split('/')[-1]: step for step in pipeline}
    if config.default_scope == 'mmpretrain':
        crop = steps['CenterCrop']
        side = crop.get('crop_size') or crop['size']
        return side, side
    width, height = steps['Resize'].scale
    return height, width
