"""Load a checkpoint whole or not at all, and say what was loaded.

MMEngine loads what fits and warns about the rest. Here a file either fits, up to absences that are
named below, or is refused with the reason and nothing is loaded.
"""

import re
from collections.abc import Mapping

from torch import Tensor, nn

from .contents import Contents, unwrap
from .conversion import find_swins, last_stage
from .files import read_checkpoint
from .match import Excuses, LoadReport, match

_GAUSSIAN = r'(.*\.)?stages\.\d+\.blocks\.\d+\.attn\.w_msa\.gaussian\.(amplitude|sigma)'
_DERIVED = r'.*\.(attn_mask|relative_position_index|relative_coords_table)'
_OUTPUT_NORM = r'norm\d\.(weight|bias)'
_CLASSIFIER = r'head\.fc\.(weight|bias)'
_NOT_BACKBONE = r'(?!(.*\.)?backbone\.).*'
_ANYTHING = r'.*'
_NOTHING = r'(?!)'


def load(
    model: nn.Module,
    source: str,
    strict: bool = True,
    resize: bool = True,
    prefix: str | None = None,
    trust: bool = False,
    sha256: str | None = None,
) -> LoadReport:
    """Load a Swin into a backbone, whole or not at all.

    The file may lack the Gaussian and, if it comes from classification, the output norms but the
    last. It may have what a backbone has no place for: a classifier's head, output norms of stages
    that are not returned, derived tensors. Tables of another window and absolute position
    embeddings of another image size are resized.

    Args:
        model: The backbone, a :class:`mmgab.models.SwinGAB`.
        source: What :func:`~.files.read_checkpoint` reads: a backbone, or a whole classifier,
            detector or segmentor, in any of the layouts of :mod:`~.layouts`; which one is detected.
        strict: Refuse what does not fit. Without, what fits is loaded; read the report.
        resize: Resize tables and position embeddings of another size; without, refuse them.
        prefix: What stands before the Swin's names, where a file holds several.
        trust: See :func:`~.files.read_checkpoint`.
        sha256: See :func:`~.files.read_checkpoint`.

    Returns:
        What was loaded, and what was not.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, is no Swin, has values that are not finite, or does not
            fit.
    """
    checkpoint = read_checkpoint(source, trust=trust, sha256=sha256)
    contents = Contents.of(checkpoint, source, prefix)
    missing = _GAUSSIAN + _norms_of_stages(contents, '')
    unexpected = f'{_DERIVED}|{_OUTPUT_NORM}|{_CLASSIFIER}'
    allowed = (missing, unexpected, _NOTHING) if strict else (_ANYTHING,) * 3
    excuses = Excuses(*allowed, resized=_ANYTHING if resize else _NOTHING)
    return _load(model, contents.swin, contents.metadata, excuses, source, contents.layout.name)


def load_whole_model(
    model: nn.Module, checkpoint: Mapping, source: str, strict: bool
) -> LoadReport:
    """Load a detector's, segmentor's or classifier's own checkpoint.

    Its Swin may be in another layout than the model's, and under another name in the model.

    Args:
        model: The detector or segmentor.
        checkpoint: What :func:`~.files.read_checkpoint` returned.
        source: Where it was read from, for the report.
        strict: True where every tensor must fit: to test or resume. False for a start of training,
            where the backbone must fit (it may lack the Gaussian) and the rest is loaded as far as
            it fits.

    Returns:
        What was loaded, and what was not.

    Raises:
        ValueError: If it does not fit, or has values that are not finite.
    """
    tensors, metadata = unwrap(checkpoint, source)
    own = model.state_dict()
    theirs, ours = find_swins(tensors), find_swins(own)
    layout = ' and '.join(dict.fromkeys(layout.name for layout in theirs.values())) or 'unknown'
    missing = f'{_GAUSSIAN}|{_NOT_BACKBONE}'
    if len(theirs) == len(ours) == 1:
        contents, place = Contents.of(checkpoint, source), next(iter(ours))
        missing += _norms_of_stages(contents, place)
        tensors = {_in_place(name, place, own): t for name, t in contents.swin.items()}
        tensors.update(contents.others)
        metadata = {f'{place}{path}': entry for path, entry in contents.metadata.items()}
    if strict:
        excuses = Excuses(unexpected=_DERIVED)
    else:
        unexpected = f'{_DERIVED}|{_NOT_BACKBONE}|.*{_CLASSIFIER}'
        excuses = Excuses(missing, unexpected, reshaped=_NOT_BACKBONE)
    report = _load(model, tensors, metadata, excuses, source, layout)
    if not report.loaded:
        raise ValueError(f'{source} does not fit the model: no tensor has a name in common with it')
    return report


def _norms_of_stages(contents: Contents, place: str) -> str:
    """Further excuse of a classifier's file, which has one norm at the end and none before."""
    stages = range(last_stage(contents.swin))
    if any(f'norm{stage}.weight' in contents.swin for stage in stages):
        return ''
    return f'|{re.escape(place)}{_OUTPUT_NORM}'


def _in_place(name: str, place: str, own: Mapping[str, Tensor]) -> str:
    """Name of a Swin's tensor in the model; a classifier's head is beside its backbone."""
    return name if re.fullmatch(_CLASSIFIER, name) and name in own else place + name


def _load(
    model: nn.Module,
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, Mapping],
    excuses: Excuses,
    source: str,
    layout: str,
) -> LoadReport:
    """Let the modules adapt their tensors, compare, and load if all is well."""
    adapted = dict(tensors)
    for path, module in model.named_modules():
        if hasattr(module, 'adapt_state_dict'):
            prefix = f'{path}.' if path else ''
            module.adapt_state_dict(adapted, prefix, metadata.get(path, {}))
    report = match(model.state_dict(), tensors, adapted, excuses, source, layout)
    loaded = set(report.loaded)
    model.load_state_dict({n: t for n, t in adapted.items() if n in loaded}, strict=False)
    return report
