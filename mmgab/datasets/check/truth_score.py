"""Ground truth fed back as predictions: a perfect model must get the full score.

Each val or test data set and its evaluators are built as the config says, and every sample goes
through its pipeline. Labels of predictions are those that the training set gives to the classes.
No model is needed.
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

_FAILED = 'ground truth that cannot be scored'
_BELOW = 'ground truth that does not get the full score'
_NOT_SCORED = 'ground truth that is not scored'
_ROUNDING = 0.0015  # of metrics, as a part of the full score
_COUNTED = 100  # detections of a class that COCO's mAP counts in an image, whatever proposal_nums


def score_truth(config: Config, loader: str, evaluators: Sequence[str]) -> Iterator[Finding]:
    """Score the ground truth of a loader with its evaluators.

    Args:
        config: A complete one.
        loader: Name of the loader.
        evaluators: Names of its evaluators.
    """
    if not evaluators and loader != 'train_dataloader':
        yield Finding(_NOT_SCORED, f'{loader} has no evaluator', is_error=False)
    try:
        with _quiet():
            learned = _learned(config) if evaluators else None
    except Exception as error:  # a config and its files may hold anything
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
                yield Finding(_FAILED, f'{detail}; validation would stop with it')


def _learned(config: Config) -> Sequence[str] | None:
    """Class of each label of the training set, if there is one."""
    loader = config.get('train_dataloader')
    if not loader or not loader.get('dataset'):
        return None
    return names_of_labels(next(leaves(DATASETS.build(loader.dataset))))


def _score(metric: BaseMetric, truth: Truth, evaluator: str) -> Iterator[Finding]:
    """Score with one metric."""
    kind = type(metric).__name__
    if kind not in _EXPECTED or getattr(metric, 'format_only', False):
        why = 'format_only=True gives no score' if kind in _EXPECTED else 'no rule for its results'
        yield Finding(_NOT_SCORED, f'{evaluator}, {kind}: {why}', is_error=False)
        return
    # Results of a real run, where these name a place for them, are left as they are.
    for place in ('outfile_prefix', 'output_dir'):
        if hasattr(metric, place):
            setattr(metric, place, None)
    predict = truth.semantic if kind == 'IoUMetric' else _detector(metric, truth)
    truth.instances.clear()
    truth.labels.clear()
    number = len(truth.dataset)
    with _quiet():
        for index in tqdm(range(number), desc=f'{evaluator}, truth', leave=False, disable=None):
            metric.process({}, [predict(index, truth.sample(index))])
        scores = metric.evaluate(number)
    expected = _EXPECTED[kind](metric, truth)
    if not expected:
        detail = f'{evaluator}, {kind}: no rule for {", ".join(scores)}'
        yield Finding(_NOT_SCORED, detail, is_error=False)
    yield from _judge(scores, expected, f'{evaluator}, {kind}')


def _detector(metric: BaseMetric, truth: Truth) -> partial:
    return partial(truth.detected, has_masks='segm' in getattr(metric, 'metrics', ()))


def _judge(scores: dict, expected: dict, where: str) -> Iterator[Finding]:
    """Compare scores with what a perfect model gets, and the reason if that is less than all."""
    found = {key: value for key, value in scores.items() if key.rpartition('/')[2] in expected}
    for name, (full, score, why) in expected.items():
        key = next((key for key in found if key.rpartition('/')[2] == name), None)
        value = math.nan if key is None else float(found[key])
        if key is None or not value >= score - _ROUNDING * full:
            detail = f'{where}: {key or name} is {value:.4g} in place of {score:.4g}'
            yield Finding(_BELOW, f'{detail}, from predictions without a mistake')
        elif why:
            detail = f'{where}: {key} is {value:.4g}; {why}'
            yield Finding('perfect score that is below the full one', detail, is_error=False)
    if found:
        shown = ', '.join(f'{key}={float(value):.4g}' for key, value in found.items())
        yield Finding('score of the ground truth', f'{where}: {shown}', is_error=False)


def _of_iou(metric: BaseMetric, truth: Truth) -> dict:
    """Scores of MMSegmentation's IoUMetric, in percent."""
    names = [metric.metrics] if isinstance(metric.metrics, str) else list(metric.metrics)
    classes = len(metric.dataset_meta['classes'])
    absent = classes - len({label for label in truth.labels if 0 <= label < classes}
                           - {metric.ignore_index})  # fmt: skip
    full, why = 100.0, ''
    if metric.nan_to_num is not None and absent:
        full = 100 * (classes - absent * (1 - metric.nan_to_num)) / classes
        why = f'nan_to_num={metric.nan_to_num} is the score of {absent} classes without a pixel'
    return {'aAcc': (100.0, 100.0, ''), **{name: (100.0, full, why) for name in names}}


def _of_coco(metric: BaseMetric, truth: Truth) -> dict:
    """Scores of MMDetection's CocoMetric, of those in its ``metric_items``."""
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
            # COCO's 101 thresholds of recall, of which those up to the class' recall count.
            points = [(math.floor(100 * each + 1e-9) + 1) / 101 for each in recall.values()]
            score = sum(points) / len(points) if points else 1.0
            key = f'{name}_mAP'
        why = (
            f'COCO counts at most {limit} detections an image; {lost} instances can never be found'
        )
        if items is None or key.removeprefix(f'{name}_') in items:
            expected[key] = (1.0, score, why if lost else '')
    return expected


def _recall(instances: Counter, limit: int) -> tuple[dict[int, float], int]:
    """Part of each label's instances that can be found, and how many of all cannot."""
    total: Counter[int] = Counter()
    found: Counter[int] = Counter()
    for (_, label), number in instances.items():
        total[label] += number
        found[label] += min(number, limit)
    recall = {label: found[label] / total[label] for label in total}
    return recall, total.total() - found.total()


def _of_voc(metric: BaseMetric, truth: Truth) -> dict:
    """Scores of MMDetection's VOCMetric."""
    return {'mAP': (1.0, 1.0, '')} if metric.metric == 'mAP' else {}


_EXPECTED = dict(IoUMetric=_of_iou, CocoMetric=_of_coco, VOCMetric=_of_voc)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep tables of metrics, and pycocotools' progress, from the summary."""
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)
