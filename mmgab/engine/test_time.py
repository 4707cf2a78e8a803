"""Test options in addition to metrics: draw predictions, augment, save predictions."""

import inspect
from collections.abc import Iterator, Mapping, MutableMapping
from copy import deepcopy
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import HOOKS, MODELS, VISBACKENDS
from mmengine.visualization import LocalVisBackend

from mmgab.config_types import is_type, type_name, type_of
from mmgab.datasets.nested_datasets import inner_datasets

from .model_kind import kind_of_model, wrapped_settings

_IMAGE_KEYS = (
    'img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip', 'flip_direction',
)  # fmt: skip
# What MMDetection and MMPretrain use where a config has no tta_model; MMSegmentation has no
# default. Written with their scopes: the config's may be another, or none.
_TTA_MODELS: dict[str, dict] = {
    'detector': dict(
        type='DetTTAModel',  # in MMEngine's own registry: mmdet's does not find it
        tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100),
    ),
    'classifier': dict(type='mmpretrain.AverageClsScoreTTA'),
}
_FLIPS = {'detector': 'mmdet.RandomFlip', 'classifier': 'RandomFlip'}


def enable_drawing(
    config: Config, show: bool, show_dir: str | None, wait_time: float
) -> Path | None:
    """Draw every prediction, in a window or into files.

    Args:
        config: The config, changed in place.
        show: Open windows.
        show_dir: Folder for the drawn images, below the work dir.
        wait_time: Seconds that a window stays.

    Returns:
        The folder of the drawn images, for whatever model; None where there are none.

    Raises:
        ValueError: If the config has no visualization hook, or one that cannot do that.
    """
    hook = (config.get('default_hooks') or {}).get('visualization')
    if hook is None:
        raise ValueError('--show and --show-dir need default_hooks.visualization in the config')
    allowed = _parameters(hook, config)
    hook.update(show=show, wait_time=wait_time, interval=1)
    hook.update({name: True for name in ('draw', 'enable') if name in allowed})
    if not show_dir:
        return None
    folder = Path(config.work_dir, show_dir).resolve()
    if 'test_out_dir' in allowed:  # MMDetection's, which puts it below the work dir if it can
        hook.test_out_dir = str(folder)
    elif 'out_dir' in allowed:  # MMPretrain's
        hook.out_dir = str(folder)
    elif config.get('visualizer'):
        _draw_into(folder, config.visualizer)
    else:
        raise ValueError(f'--show-dir: {type_name(hook)} needs a visualizer in the config')
    return folder


def _draw_into(folder: Path, visualizer: MutableMapping) -> None:
    """Set the image folder of a visualizer; other output keeps its location."""
    backends = visualizer.get('vis_backends') or []
    local = [one for one in backends if is_type(one, LocalVisBackend, VISBACKENDS)]
    if not local:
        local = [dict(type='LocalVisBackend')]
        backends = [*backends, *local]
    for backend in local:
        backend['img_save_dir'] = str(folder)
    visualizer['vis_backends'] = backends


def enable_tta(config: Config) -> None:
    """Test every image at several scales and flips, and merge the predictions.

    Args:
        config: The config, changed in place; ``tta_model`` and ``tta_pipeline`` in it are used, and
            made for box detectors and classifiers that have none.

    Raises:
        ValueError: If the model predicts instance masks, which MMDetection cannot merge, if the
            config of another model has no ``tta_pipeline`` or ``tta_model``, or if predictions of
            a classifier are to be drawn, which MMPretrain does not do of several images at once.
    """
    if ((config.get('default_hooks') or {}).get('visualization') or {}).get('enable'):
        raise ValueError('--show and --show-dir cannot draw predictions of a classifier with --tta')
    kind = kind_of_model(config)
    tta_model = deepcopy(config.get('tta_model') or _TTA_MODELS.get(kind))
    if tta_model is None or ('tta_pipeline' not in config and kind not in _FLIPS):
        raise ValueError('--tta needs tta_model and tta_pipeline in the config')
    if is_type(tta_model, 'DetTTAModel', MODELS, config.get('default_scope')):
        _check_boxes_only(config)
    for dataset in _with_pipelines(config.test_dataloader.dataset):
        pipeline = config.get('tta_pipeline') or _flip_pipeline(dataset.get('pipeline'), kind)
        dataset['pipeline'] = pipeline
    tta_model['module'] = config.model
    config.model = tta_model


def dump_predictions(config: Config, out: str) -> None:
    """Save the predictions of a test.

    Args:
        config: The config, changed in place.
        out: A folder for segmentation, a ``.pkl`` file for all else.

    Raises:
        ValueError: If ``out`` is a ``.pkl`` for a segmentor, or is none for another model.
    """
    kind = kind_of_model(config)
    evaluators = _evaluators(config)
    is_pickle = out.endswith(('.pkl', '.pickle'))
    if kind == 'segmentor':
        if is_pickle:
            raise ValueError(f'--out must be a folder for a segmentor, got {out}')
        evaluators[0].update(output_dir=out, keep_results=True)
        return
    if not is_pickle:
        name = f'a {kind}' if kind in _FLIPS else 'such a model'
        raise ValueError(f'--out must be a .pkl file for {name}, got {out}')
    dump = 'mmdet.DumpDetResults' if kind == 'detector' else 'DumpResults'
    config.test_evaluator = [*evaluators, dict(type=dump, out_file_path=out)]


def _parameters(hook: Mapping, config: Config) -> Mapping:
    """Arguments that a hook takes.

    Raises:
        ValueError: If there is no such hook.
    """
    found = type_of(hook, HOOKS, config.get('default_scope'))
    if found is None:
        raise ValueError(
            f'default_hooks.visualization: hook {hook.get("type")!r} is not registered in the '
            f'scope {config.get("default_scope")!r}'
        )
    return inspect.signature(found).parameters


def _evaluators(config: Config) -> list:
    evaluators = config.test_evaluator
    return list(evaluators) if isinstance(evaluators, (list, tuple)) else [evaluators]


def _with_pipelines(dataset: MutableMapping) -> Iterator[MutableMapping]:
    """Settings that hold the pipelines of a data set: its own, or those of what it wraps.

    Wrappers such as ConcatDataset have none, MultiImageMixDataset has one that is run last.
    """
    inner = inner_datasets(dataset)
    if inner is None or 'pipeline' in dataset:
        yield dataset
        return
    for one in inner:
        yield from _with_pipelines(one)


def _check_boxes_only(config: Config) -> None:
    *_, model = wrapped_settings(config.model)
    roi_head = model.get('roi_head') or {}
    heads = (roi_head.get('mask_head'), *map(model.get, ('mask_head', 'panoptic_head')))
    metrics = [one.get('metric') or () for one in _evaluators(config) if isinstance(one, Mapping)]
    if any(heads) or any('segm' in metric for metric in metrics):  # a list, or one name
        raise ValueError(
            f'--tta cannot merge the masks of {type_name(model)}: MMDetection merges boxes only. '
            'Test it without --tta'
        )


def _flip_pipeline(pipeline: list | None, kind: str) -> list:
    """The test pipeline with its packing replaced by one flipped and one unflipped packing."""
    if not pipeline:
        raise ValueError('--tta needs a pipeline in test_dataloader.dataset of the config')
    *steps, pack = deepcopy(pipeline)
    if kind == 'detector':
        pack['meta_keys'] = _IMAGE_KEYS
    flips = [dict(type=_FLIPS[kind], prob=prob) for prob in (1.0, 0.0)]
    return [*steps, dict(type='TestTimeAug', transforms=[flips, [pack]])]
