"""Read a checkpoint, load it whole or not at all, and say what was loaded.

MMEngine loads what fits and warns about the rest. Here a file either fits, up to absences that are
named below, or is refused with the reason and nothing is loaded.
"""

from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError

import torch
from mmengine.runner.checkpoint import CheckpointLoader, get_torch_safe_globals
from torch import Tensor, nn

from .layouts import detect_layout, to_openmmlab
from .match import Excuses, LoadReport, match

_BACKBONE = 'backbone.'
_GAUSSIAN = r'(.*\.)?stages\.\d+\.blocks\.\d+\.attn\.w_msa\.gaussian\.(amplitude|sigma)'
_DERIVED = r'.*\.(attn_mask|relative_position_index|relative_coords_table)'
_OUTPUT_NORM = r'norm\d\.(weight|bias)'
_CLASSIFIER = r'(head|norm)\.(weight|bias)'
_NOT_BACKBONE = r'(?!(.*\.)?backbone\.).*'


def read_checkpoint(source: str, map_location: str = 'cpu') -> Mapping:
    """Read a checkpoint file.

    A local file is read without running code that it may carry.

    Args:
        source: Path, or URL of anything that MMEngine's ``CheckpointLoader`` opens.
        map_location: Device for the tensors.

    Returns:
        Its contents.

    Raises:
        FileNotFoundError: If there is no such file.
        ConnectionError: If a URL cannot be reached.
        ValueError: If the file is empty, truncated, no checkpoint, or holds more than data.
    """
    if '://' not in source and not Path(source).is_file():
        raise FileNotFoundError(
            f'checkpoint {source} does not exist (looked for {Path(source).resolve()})'
        )
    try:
        checkpoint = _read(source, map_location)
    except URLError as error:
        raise ConnectionError(
            f'checkpoint {source} cannot be downloaded ({error.reason}); where there is no '
            'network, fetch it elsewhere and give its path instead'
        ) from error
    except PermissionError:
        raise
    except Exception as error:  # torch raises nearly anything on a file that is not its own
        raise ValueError(
            f'{source} cannot be read as a checkpoint; it is empty, truncated, no PyTorch file, or '
            f'holds more than data ({type(error).__name__}: {error})'
        ) from error
    if not isinstance(checkpoint, Mapping):
        raise ValueError(f'{source} is no checkpoint: it holds a {type(checkpoint).__name__}')
    return checkpoint


def _read(source: str, map_location: str) -> object:
    if '://' in source:
        return CheckpointLoader.load_checkpoint(source, map_location=map_location)
    # What MMEngine's own checkpoints hold beside tensors: histories of losses, numpy numbers.
    with torch.serialization.safe_globals(get_torch_safe_globals()):
        return torch.load(source, map_location=map_location, weights_only=True)


def load(model: nn.Module, source: str) -> LoadReport:
    """Load a Swin into a backbone, whole or not at all.

    The file may lack the Gaussian and, if it comes from classification, the output norms. It may
    have what a backbone has no place for: a classifier's head and last norm, output norms of stages
    that are not returned, derived tensors. Tables of another square window and absolute position
    embeddings of another image size are resized.

    Args:
        model: The backbone, a :class:`mmgab.models.SwinGAB`.
        source: Path or URL of a backbone, or of a whole detector or segmentor, in Microsoft's or
            OpenMMLab's layout; which one is detected.

    Returns:
        What was loaded, and what was not.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, is no Swin, or does not fit.
    """
    tensors = _tensors(read_checkpoint(source), source)
    if any(name.startswith(_BACKBONE) for name in tensors):
        tensors = {
            name.removeprefix(_BACKBONE): tensor
            for name, tensor in tensors.items()
            if name.startswith(_BACKBONE)
        }
    layout = detect_layout(tensors, source)
    if layout == 'microsoft':
        tensors = to_openmmlab(tensors)
    missing = _GAUSSIAN
    if 'norm.weight' in tensors:  # a classifier has one norm at the end, and none after each stage
        missing += f'|{_OUTPUT_NORM}'
    excuses = Excuses(missing, surplus=f'{_DERIVED}|{_OUTPUT_NORM}|{_CLASSIFIER}')
    report = match(model.state_dict(), tensors, excuses, source, layout)
    model.load_state_dict(tensors, strict=False)
    return report


def load_whole_model(
    model: nn.Module, checkpoint: Mapping, source: str, strict: bool
) -> LoadReport:
    """Load a detector's or segmentor's own checkpoint.

    Args:
        model: The detector or segmentor.
        checkpoint: What :func:`read_checkpoint` returned.
        source: Where it was read from, for the report.
        strict: True where every tensor must fit: to test or resume. False for a start of training,
            where the backbone must fit (it may lack the Gaussian) and the rest is loaded as far as
            it fits.

    Returns:
        What was loaded, and what was not.

    Raises:
        ValueError: If it does not fit.
    """
    tensors = _tensors(checkpoint, source)
    if strict:
        excuses = Excuses(surplus=_DERIVED)
    else:
        excuses = Excuses(
            missing=f'{_GAUSSIAN}|{_NOT_BACKBONE}',
            surplus=f'{_DERIVED}|{_NOT_BACKBONE}',
            reshaped=_NOT_BACKBONE,
        )
    report = match(model.state_dict(), tensors, excuses, source, 'openmmlab')
    if not report.loaded:
        raise ValueError(f'{source} does not fit the model: no tensor has a name in common with it')
    # Surplus stays in: the modules that own derived tensors take them out themselves.
    unfit = set(report.missing)
    model.load_state_dict({n: t for n, t in tensors.items() if n not in unfit}, strict=False)
    return report


def _tensors(checkpoint: Mapping, source: str) -> dict[str, Tensor]:
    """Take the tensors out of whatever wraps them, without ``module.`` before their names."""
    for wrapper in ('state_dict', 'model'):
        if isinstance(checkpoint.get(wrapper), Mapping):
            checkpoint = checkpoint[wrapper]
    tensors = {
        name.removeprefix('module.'): value
        for name, value in checkpoint.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }
    if not tensors:
        raise ValueError(f'{source} is no checkpoint: it holds no tensors by name')
    return tensors
