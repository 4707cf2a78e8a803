"""Load a checkpoint whole or not at all, and say what was loaded.

MMEngine loads what fits and warns about the rest. Here a file either fits, up to absences that are
named below, or is refused with the reason and nothing is loaded.
"""

import re
from collections import OrderedDict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace

from torch import Tensor, nn

from .contents import Contents, unwrap
from .conversion import find_swins, last_stage
from .files import read_checkpoint
from .layouts import PRETRAINING
from .matching import NOTHING, Excuses, LoadReport, grouped, match
from .omissions import left_out
from .wrappers import model_names_without_wrappers, model_paths_without_wrappers, named_as

# In a Swin's blocks, or a plain ViT's.
_GAUSSIAN = r'(.*\.)?blocks\.\d+\.attn\.(w_msa\.)?gaussian\.(amplitude|sigma)'
_LOCAL = r'(.*\.)?blocks\.\d+\.attn\.(w_msa\.)?local\.(position|gate)'
_BROADCAST = r'(.*\.)?blocks\.\d+\.broadcast\.(share|scale|gate)'
_METHODS = {'.gaussian.': _GAUSSIAN, '.local.': _LOCAL, '.broadcast.': _BROADCAST}
_DERIVED = r'.*\.(attn_mask|relative_position_index|relative_coords_table)'
_OUTPUT_NORM = r'norm\d\.(weight|bias)'
_CLASSIFIER = r'head\.fc\.(weight|bias)'
_UNUSED = f'{_CLASSIFIER}|{PRETRAINING.pattern}'
_ANYTHING = r'.*'


def load(
    model: nn.Module,
    source: str,
    strict: bool = True,
    resize: bool = True,
    prefix: str | None = None,
    trust: bool = False,
    sha256: str | None = None,
    leave_out: str | Sequence[str] | None = None,
) -> LoadReport:
    r"""Load a Swin into a backbone, whole or not at all.

    The file may lack all Gaussians, all gates, all of Context Broadcasting and, if it comes from
    classification, all output norms but the last (all of them, if it is timm's ``features_only``).
    It may have what a backbone has no place for: a classifier's head, what only pretraining needs
    (mask tokens, decoders, projection heads), output norms of stages that are not returned, derived
    tensors. Tables of another window and absolute position embeddings of another image size are
    resized.

    Args:
        model: The backbone, a :class:`mmgab.models.SwinGAB`.
        source: What :func:`~.files.read_checkpoint` reads: a backbone, or a whole classifier,
            detector or segmentor, in any of the layouts of :mod:`~.layouts`; which one is detected.
        strict: Refuse what does not fit. Without, what fits is loaded; read the report.
        resize: Resize tables and position embeddings of another size; without, refuse them.
        prefix: What stands before the Swin's names, where a file holds several.
        trust: See :func:`~.files.read_checkpoint`.
        sha256: See :func:`~.files.read_checkpoint`.
        leave_out: Regular expressions of complete names, or one: tensors that are not taken from
            the file and keep their values, such as ``r'.*relative_position_bias_table'``. Names are
            the model's, whatever the file's layout.

    Returns:
        What was loaded, and what was not.

    Raises:
        FileNotFoundError: If there is no such file.
        TypeError: If ``leave_out`` holds something else than strings.
        ValueError: If it cannot be read, is no Swin, has values that are not finite, or does not
            fit; if ``leave_out`` is no regular expression or fits no name.
    """
    checkpoint = read_checkpoint(source, trust=trust, sha256=sha256)
    contents = Contents.of(checkpoint, source, prefix)
    left, pattern = left_out(contents.swin, leave_out, source)
    taken = {name: tensor for name, tensor in contents.swin.items() if name not in left}
    if strict:
        unexpected = f'{_DERIVED}|{_OUTPUT_NORM}|{_UNUSED}'
        excuses = Excuses(f'{_absences(contents, "")}|{pattern}', unexpected)
    else:
        excuses = Excuses(_ANYTHING, _ANYTHING, _ANYTHING)
    excuses = excuses if resize else replace(excuses, resized=NOTHING)
    report = load_adapted(model, taken, contents.metadata, excuses, source, contents.layout.name)
    unused = [*report.unexpected, *left, *contents.others, *contents.apart]
    return replace(report, unexpected=unused)


def load_whole_model(
    model: nn.Module, checkpoint: Mapping, source: str, strict: bool, resize: bool = True
) -> LoadReport:
    """Load a detector's, segmentor's or classifier's own checkpoint.

    Its Swin may be in another layout than the model's, and under another name in the model.

    Args:
        model: The detector or segmentor.
        checkpoint: What :func:`~.files.read_checkpoint` returned.
        source: Where it was read from, for the report.
        strict: True where every tensor must be there: to test or resume. False for a start of
            training, where the backbone must fit (it may lack the Gaussian) and the rest is loaded
            as far as it fits.
        resize: See :func:`load`.

    Returns:
        What was loaded, and what was not.

    Raises:
        ValueError: If it does not fit, or has values that are not finite.
    """
    tensors, metadata = unwrap(checkpoint, source)
    own = model_names_without_wrappers(model)
    theirs, ours = find_swins(tensors), find_swins(own)
    layouts = ' and '.join(dict.fromkeys(layout.name for layout in theirs.values()))
    absences = absent_methods(tensors)
    if theirs and len(ours) == 1:
        place = next(iter(ours))
        contents = Contents.of(checkpoint, source, place if place in theirs else None)
        layouts = contents.layout.name
        apart = {name: tensors[name] for name in contents.apart}
        tensors = {_in_place(name, place, own): t for name, t in contents.swin.items()}
        tensors |= {**contents.others, **apart}
        metadata = {f'{place}{prefix}': note for prefix, note in contents.metadata.items()}
        absences = _absences(contents, place)
    excuses = _excuses_of_a_start(absences, ours)
    if strict:
        excuses = Excuses(unexpected=_DERIVED)
    excuses = excuses if resize else replace(excuses, resized=NOTHING)
    names = named_as(tensors, own)
    tensors = {names[name]: tensor for name, tensor in tensors.items()}
    report = load_adapted(model, tensors, metadata, excuses, source, layouts or 'unknown')
    if not report.loaded:
        raise ValueError(f'{source} does not fit the model: no tensor has a name in common with it')
    return report


def _absences(contents: Contents, place: str) -> str:
    """What a file need not have, as it has nothing of the kind: Gaussians, norms of stages, ...

    A classifier has one norm, after the last stage.
    """
    last = last_stage(contents.swin)
    absences = absent_methods(contents.swin)
    if last > 0 and not contents.has_stage_norms():
        absences += rf'|{re.escape(place)}norm[0-{last - 1}]\.(weight|bias)'
    if not contents.layout.has_norms:
        absences += rf'|{re.escape(place)}{_OUTPUT_NORM}'
    return absences


def absent_methods(names: Iterable[str]) -> str:
    """Pattern of the methods' tensors that a file need not have, as it has none of their kind."""
    absent = [p for part, p in _METHODS.items() if not any(part in name for name in names)]
    return '|'.join(absent) or NOTHING


def _excuses_of_a_start(absences: str, places: Iterable[str]) -> Excuses:
    """All but the backbone may be missing, too much or of another shape."""
    backbones = '|'.join(map(re.escape, places)) or r'(.*\.)?backbone\.'
    outside = rf'(?!{backbones}).*'
    inside = f'(?:{_OUTPUT_NORM}|{_UNUSED})'
    unused = '|'.join(f'{re.escape(place)}{inside}' for place in places) or NOTHING
    return Excuses(
        missing=f'{absences}|{outside}',
        unexpected=f'{_DERIVED}|{outside}|{unused}|.*{_CLASSIFIER}',
        reshaped=outside,
    )


def _in_place(name: str, place: str, own: Container[str]) -> str:
    """Name of a Swin's tensor in the model; a classifier's head is beside its backbone."""
    return name if re.fullmatch(_CLASSIFIER, name) and name in own else place + name


def load_adapted(
    model: nn.Module,
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, Mapping],
    excuses: Excuses,
    source: str,
    layout: str,
) -> LoadReport:
    """Let the modules adapt their tensors, compare, and load if all is well.

    Args:
        model: Where to.
        tensors: What a file has, under the model's names.
        metadata: What its modules noted, by what stands before their tensors' names.
        excuses: Differences that are no reason to refuse it.
        source: Path or URL, for the report.
        layout: Whose layout the file is in, for the report.

    Raises:
        ValueError: If it does not fit; nothing is loaded.
    """
    adapted, resized, notes = dict(tensors), [], {}
    prefixes = model_paths_without_wrappers(model)
    for path, module in model.named_modules():
        prefix = prefixes[f'{path}.' if path else '']
        notes[path] = metadata.get(prefix, {})
        if hasattr(type(module), 'adapt_state_dict'):
            resized += module.adapt_state_dict(adapted, prefix, notes[path])
            notes[path] = {**notes[path], 'is_adapted': True}
    fitted = [name for name in adapted if name not in tensors and re.fullmatch(_GAUSSIAN, name)]
    names, state = model_names_without_wrappers(model), model.state_dict()
    own = {name: state[held] for name, held in names.items()}
    report = match(own, adapted, excuses, source, layout, resized, fitted)
    loaded = OrderedDict((names[name], adapted[name]) for name in report.loaded)
    loaded._metadata = notes
    result = model.load_state_dict(loaded, strict=False)
    if result.unexpected_keys:  # a module's own load hook moved a tensor
        raise ValueError(f'{source}: {grouped(result.unexpected_keys)} found no place on loading')
    return report
