"""What testing can do beside metrics: draw predictions, augment, keep predictions."""

from copy import deepcopy
from pathlib import Path

from mmengine.config import Config

_IMAGE_KEYS = (
    'img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip', 'flip_direction',
)  # fmt: skip


def enable_drawing(config: Config, show: bool, show_dir: str | None, wait_time: float) -> None:
    """Draw every prediction, in a window or into files.

    Args:
        config: The config, changed in place.
        show: Open windows.
        show_dir: Folder for the drawn images, below the work dir.
        wait_time: Seconds that a window stays.

    Raises:
        ValueError: If the config has no visualization hook.
    """
    hook = config.get('default_hooks', {}).get('visualization')
    if hook is None:
        raise ValueError('--show and --show-dir need default_hooks.visualization in the config')
    hook.update(draw=True, show=show, wait_time=wait_time, interval=1)
    if not show_dir:
        return
    if config.get('default_scope') == 'mmdet':
        hook.test_out_dir = show_dir
    else:
        config.visualizer.save_dir = str(Path(config.work_dir) / show_dir)


def enable_tta(config: Config) -> None:
    """Test every image at several scales and flips, and merge the predictions.

    Args:
        config: The config, changed in place; ``tta_model`` and ``tta_pipeline`` in it are used, and
            made for box detectors that have none.

    Raises:
        ValueError: If the model predicts instance masks, which MMDetection cannot merge, or if a
            segmentor's config has no ``tta_pipeline``.
    """
    if config.get('default_scope') == 'mmdet':
        _check_boxes_only(config)
        config.setdefault('tta_model', _box_tta_model())
        if 'tta_pipeline' not in config:
            config.tta_pipeline = _flip_pipeline(config.test_dataloader.dataset.pipeline)
    if 'tta_pipeline' not in config or 'tta_model' not in config:
        raise ValueError('--tta needs tta_model and tta_pipeline in the config')
    config.test_dataloader.dataset.pipeline = config.tta_pipeline
    config.model = dict(config.tta_model, module=config.model)


def dump_predictions(config: Config, out: str) -> None:
    """Keep the predictions of a test.

    Args:
        config: The config, changed in place.
        out: A ``.pkl`` file for detection, a folder for segmentation.

    Raises:
        ValueError: If ``out`` is no ``.pkl`` for a detector, or is one for a segmentor.
    """
    evaluators = config.test_evaluator
    evaluators = evaluators if isinstance(evaluators, list) else [evaluators]
    is_pickle = out.endswith(('.pkl', '.pickle'))
    if config.get('default_scope') == 'mmdet':
        if not is_pickle:
            raise ValueError(f'--out must be a .pkl file for a detector, got {out}')
        config.test_evaluator = [*evaluators, dict(type='DumpDetResults', out_file_path=out)]
    else:
        if is_pickle:
            raise ValueError(f'--out must be a folder for a segmentor, got {out}')
        evaluators[0].update(output_dir=out, keep_results=True)


def _check_boxes_only(config: Config) -> None:
    roi_head = config.model.get('roi_head') or {}
    heads = (roi_head.get('mask_head'), *map(config.model.get, ('mask_head', 'panoptic_head')))
    if any(heads):
        raise ValueError(
            f'--tta cannot merge the masks of {config.model.type}: MMDetection merges boxes only. '
            'Test it without --tta'
        )


def _box_tta_model() -> dict:
    tta_cfg = dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100)
    return dict(type='DetTTAModel', tta_cfg=tta_cfg)


def _flip_pipeline(pipeline: list) -> list:
    """The test pipeline with its packing replaced by one flipped and one unflipped packing."""
    flips = [dict(type='RandomFlip', prob=1.0), dict(type='RandomFlip', prob=0.0)]
    pack = [dict(type='PackDetInputs', meta_keys=_IMAGE_KEYS)]
    return [*deepcopy(pipeline[:-1]), dict(type='TestTimeAug', transforms=[flips, pack])]
