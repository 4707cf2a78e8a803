"""Figures of a report made with matplotlib: curves as SVG, maps as PNG."""

from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from mmengine.registry import MODELS
from tqdm import tqdm

from mmgab.analysis.erf import PROTOCOLS, Erf, centre, describe_map, measure_erf
from mmgab.analysis.plots import ErfPicture, curves_svg, layer_curves_svg, plot_erfs
from mmgab.checkpoints import Contents, read_checkpoint
from mmgab.config_types import is_type
from mmgab.inspection.gaussian_layers import draw_tables, layers_of

from .erf_images import batches, chosen_images
from .erf_subject import Subject, Target, build_subject
from .report_pictures import Figure, drawn
from .report_runs import Run, in_percent

_LAYERS = 6  # per figure, so that it fits on a page
_DEPTHS = (2, 2, 6, 2)  # default of Swin
# Logged values that are not losses or metrics.
_NO_LOSS = {'data_time', 'time', 'epoch', 'iter', 'step', 'memory', 'base_lr'}


def curves(run: Run) -> list[Figure]:
    """Plot losses, learning rate, gradient norm and validation metrics over iterations."""
    records = run.scalars
    training = [record for record in records if 'loss' in record]
    names = [name for name in (training[0] if training else {}) if name not in _NO_LOSS]
    terms = [name for name in names if 'loss' in name]
    accuracies = [name for name in names if 'acc' in name]
    groups = {
        'Loss and its terms': (terms, 'loss'),
        'Accuracy in training': (accuracies, 'percent'),
        'Learning rate': (['lr'], 'learning rate'),
        'Norm of the gradient': (['grad_norm'], 'norm'),
    }
    found = [
        Figure(caption, curves_svg(_lines(training, own), 'iteration', label))
        for caption, (own, label) in groups.items()
        if any(name in names for name in own)
    ]
    validation = _validations(records)
    metrics = [name for name in (validation[0] if validation else {}) if name not in _NO_LOSS]
    # MMDetection logs -1 if there are no objects of a size.
    metrics = [name for name in metrics if all(record.get(name, 0) >= 0 for record in validation)]
    if metrics and len(validation) > 1:
        svg = curves_svg(_lines(validation, metrics), 'iteration', 'scores in percent')
        found.append(Figure('Metrics on the validation set', svg))
    return found


def _validations(records: list[dict]) -> list[dict]:
    """Return the records of validations, with the training iteration before each."""
    found, iteration = [], 0
    for record in records:
        if 'iter' in record:
            iteration = record['iter']
        elif not any(name.startswith('gab/') for name in record):
            found.append(dict(in_percent(record), iter=iteration))
    return found


def _lines(records: list[dict], names: list[str]) -> dict[str, tuple]:
    lines = {}
    for name in names:
        own = [record for record in records if name in record]
        lines[name] = ([record['iter'] for record in own], [record[name] for record in own])
    return lines


def gaussians(run: Run) -> list[Figure]:
    """Plot the values logged by GABMonitorHook for every layer, averaged over heads."""
    records = [record for record in run.scalars if any(name.startswith('gab/') for name in record)]
    kinds = {
        'A': ('Amplitude of the Gaussians', 'A [logits]'),
        'sigma': ('Sigma of the Gaussians', 'sigma [tokens]'),
        'share': ('Share of the bias in the scores', 'share'),
    }
    found = []
    for kind, (caption, label) in kinds.items():
        lines = _by_layer(records, kind)
        if lines:
            found.append(Figure(caption, layer_curves_svg(lines, 'iteration', label)))
    return found


def _by_layer(records: list[dict], kind: str) -> list[tuple]:
    layers: dict[str, tuple[list, list]] = {}
    for record in records:
        own: dict[str, list[float]] = {}
        for name, value in record.items():
            layer, _, rest = name.partition(f'/{kind}')
            if (rest == '' and name.endswith(kind)) or rest.startswith('/head'):
                own.setdefault(layer, []).append(value)
        for layer, values in own.items():
            steps, means = layers.setdefault(layer, ([], []))
            steps.append(record['step'])
            means.append(sum(values) / len(values))
    return list(layers.values())


def tables(run: Run) -> list[Figure]:
    """Plot learned table, Gaussian and sum of every layer, several layers per figure.

    Raises:
        ValueError: If the checkpoint has no Swin.
    """
    checkpoint = run.checkpoint
    layers = layers_of(Contents.of(read_checkpoint(str(checkpoint)), str(checkpoint)))
    caption = 'Position bias over the offset of key from query'
    figures = []
    for first in range(0, len(layers), _LAYERS):
        some = layers[first : first + _LAYERS]
        names = ', '.join(layer.name for layer in some)
        figures.append(drawn(partial(draw_tables, some), f'{caption}: {names}'))
    return figures


def receptive_fields(run: Run, args: Namespace, note: Callable[[str], None]) -> list[Figure]:
    """Plot the receptive field of the last feature map's center, before and after training.

    Args:
        run: The run.
        args: ``images``, ``num``, ``seed`` and ``size``.
        note: Called with a message for each receptive field that cannot be measured.

    Returns:
        A list of one figure; empty if no receptive field can be measured.
    """
    panels, found, heading = [], [], ''
    start = run.config.get('load_from')
    for when, checkpoint in (('at the start', start), ('after training', str(run.checkpoint))):
        torch.manual_seed(args.seed)
        target = Target(str(run.config_file), checkpoint, *_last_map(run), tuple(args.size))
        try:
            subject = build_subject(target)
            erf = _measured(subject, args, f'{run.folder.name} {when}')
        except Exception as error:  # from the network, the dataset or the weights
            reason = f'{type(error).__name__}: {error}'
            note(f'The receptive field {when} could not be measured. {reason}')
            continue
        panels.append(ErfPicture(when, erf.sums[0].mean, erf.centre(0)))
        numbers = describe_map(erf.sums[0].mean, erf.centre(0))
        found.append(
            f'{when.capitalize()}: r50 {numbers["r50"]:.0f} pixels (half of the contributions are '
            f'inside), fitted Gaussian with sigma {numbers["fit_sigma_x"]:.0f} x '
            f'{numbers["fit_sigma_y"]:.0f} pixels, R² {numbers["fit_r_squared"]:.2f}.'
        )
        heading = (
            f'{subject.about["layer"]}, protocol {erf.protocol}, {erf.sums[0].count} images '
            f'({args.images}), {erf.size[0]} x {erf.size[1]} pixels'
        )
    if not panels:
        return []
    caption = (
        'Receptive field of the central unit of the last feature map. '
        f'{" ".join(found)} {_start(run, args)}'
    )
    return [drawn(lambda path: plot_erfs({'': panels}, heading, path), caption)]


def _start(run: Run, args: Namespace) -> str:
    """Return a sentence about the initial weights of a run."""
    init_cfg = run.config.model.backbone.get('init_cfg') or {}
    source = run.config.get('load_from') or init_cfg.get('checkpoint')
    if source:
        return f'The training started from {Path(source).name}.'
    return (
        'The training started from random weights; those measured here are newly initialized with '
        f'seed {args.seed}.'
    )


def _last_map(run: Run) -> tuple[str | None, int | None]:
    """Return the last stage of a Swin, before its norm.

    With initial weights, the channel mean after the norm is constant and has no gradient.
    """
    backbone, scope = run.config.model.backbone, run.config.get('default_scope')
    last = len(backbone.get('depths', _DEPTHS)) - 1
    if any(is_type(backbone, name, MODELS, scope) for name in ('SwinGAB', 'SwinTransformer')):
        return f'backbone.stages.{last}', 0
    return None, None


def _measured(subject: Subject, args: Namespace, title: str) -> Erf:
    sources = chosen_images(args.images, args.num, args.seed, subject)
    unreadable: dict[str, str] = {}
    images = tqdm(batches(sources, 1, unreadable), title, len(sources), unit='image', disable=None)
    *_, erf = [None, *measure_erf(subject.features, images, centre, PROTOCOLS['gab2023'])]
    if erf is None or not erf.sums[0].count:
        reasons = unreadable if erf is None else erf.refused
        raise ValueError(f'no image of {args.images} gave a receptive field: {reasons}')
    return erf
