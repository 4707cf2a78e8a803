"""Evaluate the ground truth as predictions: a perfect model must reach the full score.

Each val or test dataset and its evaluators are built as the config says, and every sample passes
through its pipeline. Predictions use the labels of the training set. No model is needed.
"""

import contextlib
import io
import logging
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial

from mmengine.config import Config
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.registry import DATASETS
from tqdm import tqdm

from mmgab.datasets.built_datasets import leaves

from .findings import Finding
from .image_checks import reason
from .truth import Truth, names_of_labels

_FAILED = 'ground truth cannot be scored'
_BELOW = 'ground truth does not reach the full score'
_NOT_SCORED = 'ground truth is not scored'
_ROUNDING = 0.0015  # of metrics, as a fraction of the full score
_COUNTED = 100  # detections per class and image that COCO's mAP uses, for any proposal_nums


def score_truth(config: Config, loader: str, evaluators: Sequence[str]) -> Iterator[Finding]:
    """Evaluate the ground truth of a loader with its evaluators.

    Args:
        config: The complete config.
        loader: Name of the loader.
        evaluators: Names of its evaluators.
    """
    if not evaluators and loader != 'train_dataloader':
        yield Finding(_NOT_SCORED, f'{loader} has no evaluator', is_error=False)
    try:
        with _quiet():
            learned = _learned(config) if evaluators else None
    except Exception as error:  # a config and its files may contain anything
        yield Finding(_FAILED, f'labels of train_dataloader: {reason(error)}')
        return
    for evaluator in evaluators:
        try:
            with _quiet():
                dataset = DATASETS.build(config[loader].dataset)
                truth = Truth(dataset, learned)
                metrics = Evaluator(config[evaluator])
                metrics.dataset_meta = dataset.metainfo
        except Exception as error:
            yield Finding(_FAILED, f'{evaluator}: {reason(error)}')
            continue
        for metric in metrics.metrics:
            try:
                yield from _score(metric, truth, evaluator)
            except Exception as error:
                detail = f'{evaluator}, {type(metric).__name__}: {reason(error)}'
                yield Finding(_FAILED, f'{detail}; validation would fail with this error')


def _learned(config: Config) -> Sequence[str] | None:
    """Return the class of each label of the training set; None without a training set."""
    loader = config.get('train_dataloader')
    if not loader or not loader.get('dataset'):
        return None
    return names_of_labels(next(leaves(DATASETS.build(loader.dataset))))


def _score(metric: BaseMetric, truth: Truth, evaluator: str) -> Iterator[Finding]:
    """Evaluate with one metric."""
    kind = type(metric).__name__
    if kind not in _EXPECTED or getattr(metric, 'format_only', False):
        is_known = kind in _EXPECTED
        why = 'format_only=True computes no score' if is_known else 'its full score is not known'
        yield Finding(_NOT_SCORED, f'{evaluator}, {kind}: {why}', is_error=False)
        return
    # Do not overwrite the results of a real run.
    for place in ('outfile_prefix', 'output_dir'):
        if hasattr(metric, place):
            setattr(metric, place, None)
    predict = truth.semantic if kind == 'IoUMetric' else _detector(metric, truth)
    truth.instances.clear()
    truth.labels.clear()
    number = len(truth.dataset)
    with _quiet():
        for index in tqdm(
            range(number), desc=f'{evaluator}, ground truth', leave=False, disable=None
        ):
            metric.process({}, [predict(index, truth.sample(index))])
        scores = metric.evaluate(number)
    expected = _EXPECTED[kind](metric, truth)
    if not expected:
        detail = f'{evaluator}, {kind}: the full score is not known of {", ".join(scores)}'
        yield Finding(_NOT_SCORED, detail, is_error=False)
    yield from _judge(scores, expected, f'{evaluator}, {kind}')


def _detector(metric: BaseMetric, truth: Truth) -> partial:
    return partial(truth.detected, has_masks='segm' in getattr(metric, 'metrics', ()))


def _judge(scores: dict, expected: dict, where: str) -> Iterator[Finding]:
    """Compare scores with those of a perfect model, and give the reason if these are not full."""
    found = {key: value for key, value in scores.items() if key.rpartition('/')[2] in expected}
    for name, (full, score, why) in expected.items():
        key = next((key for key in found if key.rpartition('/')[2] == name), None)
        value = math.nan if key is None else float(found[key])
        if key is None or not value >= score - _ROUNDING * full:
            detail = f'{where}: {key or name} is {value:.4g}, expected {score:.4g}'
            yield Finding(_BELOW, f'{detail} for predictions equal to the ground truth')
        elif why:
            detail = f'{where}: {key} is {value:.4g}; {why}'
            yield Finding('full score cannot be reached', detail, is_error=False)
    if found:
        shown = ', '.join(f'{key}={float(value):.4g}' for key, value in found.items())
        yield Finding('score of the ground truth', f'{where}: {shown}', is_error=False)


def _of_iou(metric: BaseMetric, truth: Truth) -> dict:
    """Return the expected scores of MMSegmentation's IoUMetric, in percent."""
    names = [metric.metrics] if isinstance(metric.metrics, str) else list(metric.metrics)
    classes = len(metric.dataset_meta['classes'])
    absent = classes - len({label for label in truth.labels if 0 <= label < classes}
                           - {metric.ignore_index})  # fmt: skip
    full, why = 100.0, ''
    if metric.nan_to_num is not None and absent:
        full = 100 * (classes - absent * (1 - metric.nan_to_num)) / classes
        why = f'{absent} classes without pixels score nan_to_num={metric.nan_to_num}'
    return {'aAcc': (100.0, 100.0, ''), **{name: (100.0, full, why) for name in names}}


def _of_coco(metric: BaseMetric, truth: Truth) -> dict:
    """Return the expected scores of MMDetection's CocoMetric, limited to ``metric_items``."""
    expected, items = {}, metric.metric_items
    for name in metric.metrics:
        if name in ('proposal', 'proposal_fast'):
            limit = max(metric.proposal_nums)
            in_image = Counter(index for index, _ in truth.instances.elements())
            recall, lost = _recall(Counter({(index, 0): n for index, n in in_image.items()}), limit)
            score = recall.get(0, 1.0)
            key = 'AR@1000' if name == 'proposal' else f'AR@{metric.proposal_nums[-1]}'
        else:
            limit = _COUNTED
            recall, lost = _recall(truth.instances, limit)
            # COCO's 101 recall thresholds; those up to the recall of the class count.
            points = [(math.floor(100 * each + 1e-9) + 1) / 101 for each in recall.values()]
            score = sum(points) / len(points) if points else 1.0
            key = f'{name}_mAP'
        why = (
            f'COCO uses at most {limit} detections of a class per image, {lost} instances exceed it'
        )
        if items is None or key.removeprefix(f'{name}_') in items:
            expected[key] = (1.0, score, why if lost else '')
    return expected


def _recall(instances: Counter, limit: int) -> tuple[dict[int, float], int]:
    """Return the reachable recall per label, and the number of unreachable instances."""
    total: Counter[int] = Counter()
    found: Counter[int] = Counter()
    for (_, label), number in instances.items():
        total[label] += number
        found[label] += min(number, limit)
    recall = {label: found[label] / total[label] for label in total}
    return recall, total.total() - found.total()


def _of_voc(metric: BaseMetric, truth: Truth) -> dict:
    """Return the expected scores of MMDetection's VOCMetric."""
    return {'mAP': (1.0, 1.0, '')} if metric.metric == 'mAP' else {}


_EXPECTED = dict(IoUMetric=_of_iou, CocoMetric=_of_coco, VOCMetric=_of_voc)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress tables of metrics and the output of pycocotools."""
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)
