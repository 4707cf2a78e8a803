"""Export of trained networks to graphs (ONNX, ``torch.export``) that run without mmgab."""

from .onnx_graph import MIN_OPEN_SIDE, ExportError, OpenSizes, export_onnx, export_program, verify
from .open_pooling import open_pooling_

__all__ = [
    'MIN_OPEN_SIDE',
    'ExportError',
    'OpenSizes',
    'export_onnx',
    'export_program',
    'open_pooling_',
    'verify',
]
