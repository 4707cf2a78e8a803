"""The one way to load a file into a model: completely or not at all, with a report.

MMEngine loads what fits and warns about the rest. Here a file either fits, up to absences that each
network names (:mod:`~.networks`), or is refused with the reason and nothing is loaded.

Tensors are adapted once: the model's modules resize and rename them, the result is compared with
the model, and torch's ``load_state_dict`` copies it: wrappers, parametrizations and a user's hooks
work as with any other load.
"""

import os
import re
from collections import OrderedDict
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import replace

from torch import Tensor, nn

from mmgab.layers.methods import GAUSSIAN

from .adaptation import adapt, taken_as_they_are
from .excuses import NOTHING
from .files import read_checkpoint
from .matching import LoadReport, grouped, match
from .networks import WHOLE_MODEL, network_of
from .omissions import left_out
from .selection import Request, Selection
from .wrappers import model_names_without_wrappers, model_paths_without_wrappers


def load(
    model: nn.Module,
    source: str | os.PathLike[str],
    strict: bool = True,
    resize: bool = True,
    prefix: str | None = None,
    trust: bool = False,
    sha256: str | None = None,
    leave_out: str | Sequence[str] | None = None,
    *,
    checkpoint: Mapping | None = None,
    is_whole: bool = False,
) -> LoadReport:
    r"""Load a checkpoint into a model, completely or not at all.

    The names of the model's tensors tell what it is. A Swin, a plain ViT and the norm behind a
    plain ViT (:class:`mmgab.models.PooledNorm`) take their part of a file, which may be a whole
    classifier, detector or segmentor; what the file may lack, and may have beside them, is said at
    :func:`~.swin_selection.select_swin`, :func:`~.vit_selection.select_vit` and
    :func:`~.fc_norm_selection.select_fc_norm`. Any other model takes the complete file, see
    :func:`~.whole_selection.select_whole`. Tables of another window and position embeddings of
    another image size are resized.

    Args:
        model: The model; it may be compiled, or in a wrapper for several devices.
        source: What :func:`~.files.read_checkpoint` reads, in any of the layouts of
            :mod:`~.layouts`, a ConViT or a ViT of timm's; which one is detected.
        strict: Refuse what does not fit. Without, what fits is loaded; read the report. Of a
            complete file, the backbone must fit even then.
        resize: Resize tables and position embeddings of another size; without, refuse them.
        prefix: What stands before the network's names, where a file holds several.
        trust: See :func:`~.files.read_checkpoint`.
        sha256: See :func:`~.files.read_checkpoint`.
        leave_out: Regular expressions of complete names, or one: tensors that are not taken from
            the file and keep their values, such as ``r'.*relative_position_bias_table'``. Names are
            the model's, whatever the file's layout.
        checkpoint: What was read from ``source`` before; None to read it.
        is_whole: Whether the model takes the complete file even if it is a Swin, a plain ViT or the
            norm behind one, as a run does that is tested or resumed.

    Returns:
        What was loaded, and what was not.

    Raises:
        FileNotFoundError: If there is no such file.
        TypeError: If ``leave_out`` holds something else than strings.
        ValueError: If it cannot be read, holds no such network, has values that are not finite, or
            does not fit; if ``leave_out`` is no regular expression or fits no name.
    """
    source = os.fspath(source)
    if checkpoint is None:
        checkpoint = read_checkpoint(source, trust=trust, sha256=sha256)
    own = model_names_without_wrappers(model)
    network = WHOLE_MODEL if is_whole else network_of(own)
    selection = network.select(Request(checkpoint, source, own, strict, prefix))
    selection, left = _restricted(selection, leave_out, resize, source)
    report = _load_selected(model, own, selection, source)
    if network is WHOLE_MODEL and not report.loaded:
        raise ValueError(f'{source} does not fit the model: no tensor has a name in common with it')
    return replace(report, unexpected=[*report.unexpected, *left, *selection.rest])


# Names of version 0.1.0, which configs and scripts use.
load_vit = load


def load_fc_norm(
    model: nn.Module, source: str, trust: bool = False, sha256: str | None = None
) -> LoadReport:
    """Load the norm of a :class:`mmgab.models.PooledNorm`; a name of 0.1.0 for :func:`load`."""
    return load(model, source, trust=trust, sha256=sha256)


def load_whole_model(
    model: nn.Module, checkpoint: Mapping, source: str, strict: bool, resize: bool = True
) -> LoadReport:
    """Load a complete file that was read before; a name of 0.1.0 for :func:`load`."""
    return load(model, source, strict, resize, checkpoint=checkpoint, is_whole=True)


def _restricted(
    selection: Selection, leave_out: str | Sequence[str] | None, resize: bool, source: str
) -> tuple[Selection, list[str]]:
    """Restrict a selection to what is to be taken and resized; returns it, and what is left out."""
    left, pattern = left_out(selection.tensors, leave_out, source)
    taken = {name: tensor for name, tensor in selection.tensors.items() if name not in left}
    excuses = replace(selection.excuses, missing=f'{selection.excuses.missing}|{pattern}')
    excuses = excuses if resize else replace(excuses, resized=NOTHING)
    return replace(selection, tensors=taken, excuses=excuses), left


def _load_selected(
    model: nn.Module, names: Mapping[str, str], selection: Selection, source: str
) -> LoadReport:
    """Adapt tensors, compare them with the model, and load them if all is well.

    Args:
        model: Where to.
        names: Names of its tensors: each without wrappers, and as it is.
        selection: What a file has for it.
        source: Path or URL, for the report.

    Raises:
        ValueError: If they do not fit; nothing is loaded.
    """
    adapted: MutableMapping[str, Tensor] = dict(selection.tensors)
    resized = adapt(model, adapted, selection.metadata)
    fitted = [
        name
        for name in adapted
        if name not in selection.tensors and re.fullmatch(GAUSSIAN.pattern, name)
    ]
    state = model.state_dict()
    own = {name: state[held] for name, held in names.items()}
    layout, excuses = selection.layout, selection.excuses
    report = match(own, adapted, excuses, source, layout, resized, fitted)
    loaded = OrderedDict((names[name], adapted[name]) for name in report.loaded)
    vars(loaded)['_metadata'] = _notes(model, selection.metadata)  # an attribute, as torch has it
    with taken_as_they_are(model):
        result = model.load_state_dict(loaded, strict=False)
    if result.unexpected_keys:  # a module's own load hook moved a tensor
        raise ValueError(f'{source}: {grouped(result.unexpected_keys)} found no place on loading')
    return report


def _notes(model: nn.Module, metadata: Mapping[str, Mapping]) -> dict[str, Mapping]:
    """The notes of a file by the paths of a model's modules, as torch's state dicts have them."""
    prefixes = model_paths_without_wrappers(model)
    paths = {path: f'{path}.' if path else '' for path, _ in model.named_modules()}
    return {path: metadata.get(prefixes[prefix], {}) for path, prefix in paths.items()}
