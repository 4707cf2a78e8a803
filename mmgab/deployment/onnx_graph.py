"""Export to ONNX and ``torch.export``, and verification of the graph against the network.

The batch size is always dynamic. Exported Swins traced with one image are often silently wrong for
two, which :func:`verify` can detect with batches of several sizes.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim

# In the last stage, at 1/32 of the image, a dynamic side must exceed one window of 7 tokens:
# exporters specialise a single window to a constant.
MIN_OPEN_SIDE = 225
_MAX_OPEN_SIDE = 8192
_MAX_BATCH = 1024
TOLERANCE = 1e-4
Run = Callable[[Tensor], Sequence[Tensor]]


class ExportError(RuntimeError):
    """Export failed, or the graph's outputs differ from the network's."""


@dataclass(frozen=True)
class OpenSizes:
    """Dynamic dimensions of a graph's input, in addition to the batch size.

    Attributes:
        is_open: True if height and width are dynamic.
        min_side: Smallest dynamic side, in pixels.
    """

    is_open: bool
    min_side: int = MIN_OPEN_SIDE

    def shapes(self) -> tuple[dict, ...]:
        """Return torch's ``dynamic_shapes`` of the input ``(B, C, height, width)``."""
        dims = {0: Dim('batch', min=1, max=_MAX_BATCH)}
        if self.is_open:
            dims[2] = Dim('height', min=self.min_side, max=_MAX_OPEN_SIDE)
            dims[3] = Dim('width', min=self.min_side, max=_MAX_OPEN_SIDE)
        return (dims,)


def export_program(module: nn.Module, images: Tensor, sizes: OpenSizes, path: Path) -> Run:
    """Export to a ``torch.export`` program.

    Args:
        module: Images to a list of tensors, in evaluation mode.
        images: ``(B, C, height, width)``, at least two, to trace with.
        sizes: What stays open.
        path: File to write, ``.pt2``.

    Returns:
        The program, loaded from the file.
    """
    with torch.no_grad():
        program = torch.export.export(module, (images,), dynamic_shapes=sizes.shapes())
    torch.export.save(program, path)
    return torch.export.load(path).module()


def export_onnx(module: nn.Module, images: Tensor, sizes: OpenSizes, path: Path) -> Run:
    """Export to ONNX.

    Args:
        module: Images to a list of tensors, in evaluation mode.
        images: ``(B, C, height, width)``, at least two, to trace with.
        sizes: What stays open.
        path: File to write.

    Returns:
        The graph in ONNX Runtime.

    Raises:
        ExportError: If ONNX Runtime or the exporter is not installed.
    """
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  torch's exporter needs it
    except ImportError as error:
        raise ExportError(
            f'ONNX export needs {error.name}, which is not installed; run '
            'pip install -r requirements/deployment.txt'
        ) from error
    with torch.no_grad():
        outputs = [f'output{i}' for i in range(len(module(images)))]
        torch.onnx.export(
            module,
            (images,),
            path,
            dynamo=True,
            external_data=False,
            dynamic_shapes=sizes.shapes(),
            input_names=['images'],
            output_names=outputs,
            verbose=False,
        )
    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])

    def run(x: Tensor) -> list[Tensor]:
        return [torch.from_numpy(out) for out in session.run(None, {'images': x.numpy()})]

    return run


def verify(
    module: nn.Module, run: Run, shapes: Iterable[tuple[int, ...]], report: Callable[[str], None]
) -> float:
    """Compare a graph with the network it was made from.

    Args:
        module: The network.
        run: The graph.
        shapes: Shapes ``(B, C, height, width)`` of random images to compare on.
        report: Called with one line for each shape.

    Returns:
        The largest absolute difference.

    Raises:
        ExportError: If an output has another shape or differs by more than 1e-4.
    """
    largest = 0.0
    for shape in shapes:
        images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            pairs = list(zip(run(images), module(images), strict=True))
        for index, (found, expected) in enumerate(pairs):
            if found.shape != expected.shape:
                raise ExportError(
                    f'images {shape}: output {index} of the graph has shape {tuple(found.shape)}, '
                    f'of the network {tuple(expected.shape)}'
                )
        difference = max(float((found - expected).abs().max()) for found, expected in pairs)
        report(f'images {"x".join(map(str, shape))}: largest difference {difference:.1e}')
        # Not "difference > TOLERANCE", which is False for nan.
        if not difference <= TOLERANCE:
            raise ExportError(
                f'images {shape}: the graph differs from the network by {difference:.2g}, more '
                f'than {TOLERANCE}'
            )
        largest = max(largest, difference)
    return largest
