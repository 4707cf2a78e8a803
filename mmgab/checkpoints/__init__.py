"""Read, detect, load and export the checkpoints of a Swin or plain ViT."""

from importlib.util import find_spec

from .contents import Contents
from .conversion import rename_to_openmmlab
from .files import read_checkpoint, write_checkpoint
from .folding import fold, unfold
from .loading import load, load_fc_norm, load_vit, load_whole_model
from .matching import LoadReport
from .stock import as_stock_state_dict
from .target_layouts import export

if find_spec('mmengine'):
    from . import mmengine_loaders  # noqa: F401  registers itself at MMEngine

__all__ = [
    'Contents',
    'LoadReport',
    'as_stock_state_dict',
    'export',
    'fold',
    'load',
    'load_fc_norm',
    'load_vit',
    'load_whole_model',
    'read_checkpoint',
    'rename_to_openmmlab',
    'unfold',
    'write_checkpoint',
]
