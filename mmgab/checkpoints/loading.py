"""Load a file into a model, completely or not at all, with a report.

MMEngine loads the matching tensors and warns about the rest. Here a file must match, apart from the
missing keys that each network allows (:mod:`~.networks`). Otherwise an error with the reason is
raised and nothing is loaded.

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

from .adaptation import adapt, without_conversion
from .allowed_differences import NOTHING
from .files import read_checkpoint
from .ignored_keys import ignored_keys
from .matching import LoadReport, grouped, match
from .networks import WHOLE_MODEL, network_of
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
    is_complete_model: bool = False,
) -> LoadReport:
    r"""Load a checkpoint into a model, completely or not at all.

    The names of the model's tensors tell what it is. A Swin, a plain ViT and the norm behind a
    plain ViT (:class:`mmgab.models.PooledNorm`) take their part of a file, which may be a whole
    classifier, detector or segmentor; the allowed missing and unexpected keys are listed at
    :func:`~.swin_selection.select_swin`, :func:`~.vit_selection.select_vit` and
    :func:`~.fc_norm_selection.select_fc_norm`. Any other model takes the complete file, see
    :func:`~.whole_selection.select_whole`. Tables of another window and position embeddings of
    another image size are resized.

    Args:
        model: The model; it may be compiled, or in a wrapper for several devices.
        source: What :func:`~.files.read_checkpoint` reads, in any of the layouts of
            :mod:`~.layouts`, a ConViT or a ViT of timm's; which one is detected.
        strict: Raise an error if tensors do not match. If False, matching tensors are loaded and
            the report lists the rest; the backbone of a complete file must match even then.
        resize: Resize tables and position embeddings of another size; if False, raise an error.
        prefix: The network's prefix, if a file holds several.
        trust: See :func:`~.files.read_checkpoint`.
        sha256: See :func:`~.files.read_checkpoint`.
        leave_out: Regular expressions of complete names, or one: tensors that are not taken from
            the file and keep their values, such as ``r'.*relative_position_bias_table'``. Names are
            the model's, whatever the file's layout.
        checkpoint: The contents of ``source``, if they were read before; None to read it.
        is_complete_model: True loads the complete file even into a Swin, a plain ViT or the norm
            behind one. Testing and resuming a run use it.

    Returns:
        The report of loaded, missing, unexpected, resized and fitted keys.

    Raises:
        FileNotFoundError: If there is no such file.
        TypeError: If ``leave_out`` holds a value that is not a string.
        ValueError: If it cannot be read, holds no such network, has values that are not finite, or
            does not match; if ``leave_out`` is not a regular expression or matches no name.
    """
    source = os.fspath(source)
    if checkpoint is None:
        checkpoint = read_checkpoint(source, trust=trust, sha256=sha256)
    own = model_names_without_wrappers(model)
    network = WHOLE_MODEL if is_complete_model else network_of(own)
    selection = network.select(Request(checkpoint, source, own, strict, prefix))
    selection, left = _restricted(selection, leave_out, resize, source)
    report = _load_selected(model, own, selection, source)
    if network is WHOLE_MODEL and not report.loaded:
        raise ValueError(f'{source} does not fit the model: they have no key in common')
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
    return load(model, source, strict, resize, checkpoint=checkpoint, is_complete_model=True)


def _restricted(
    selection: Selection, leave_out: str | Sequence[str] | None, resize: bool, source: str
) -> tuple[Selection, list[str]]:
    """Apply ``leave_out`` and ``resize`` to a selection; returns it and the ignored keys."""
    left, pattern = ignored_keys(selection.tensors, leave_out, source)
    taken = {name: tensor for name, tensor in selection.tensors.items() if name not in left}
    allowed = replace(selection.allowed, missing=f'{selection.allowed.missing}|{pattern}')
    allowed = allowed if resize else replace(allowed, resized=NOTHING)
    return replace(selection, tensors=taken, allowed=allowed), left


def _load_selected(
    model: nn.Module, names: Mapping[str, str], selection: Selection, source: str
) -> LoadReport:
    """Adapt tensors, compare them with the model, and load them if all match.

    Args:
        model: Where to.
        names: Map of its keys without wrappers to those with wrappers.
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
    layout, allowed = selection.layout, selection.allowed
    report = match(own, adapted, allowed, source, layout, resized, fitted)
    loaded = OrderedDict((names[name], adapted[name]) for name in report.loaded)
    vars(loaded)['_metadata'] = _notes(model, selection.metadata)  # an attribute, as torch has it
    with without_conversion(model):
        result = model.load_state_dict(loaded, strict=False)
    if result.unexpected_keys:  # a module's own load hook moved a tensor
        keys = grouped(result.unexpected_keys)
        raise ValueError(f'{source}: unexpected key(s) after the load hooks of the model: {keys}')
    return report


def _notes(model: nn.Module, metadata: Mapping[str, Mapping]) -> dict[str, Mapping]:
    """The notes of a file by the paths of a model's modules, as torch's state dicts have them."""
    prefixes = model_paths_without_wrappers(model)
    paths = {path: f'{path}.' if path else '' for path, _ in model.named_modules()}
    return {path: metadata.get(prefixes[prefix], {}) for path, prefix in paths.items()}
