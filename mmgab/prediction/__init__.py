"""From images and videos to predictions in files: what ``mmgab predict`` does."""

from .coco_results import CocoResults
from .drawing import DrawnPredictions
from .inputs import Frame, Video, find_inputs
from .kept_predictions import Selection, labels_of
from .label_maps import LabelMaps
from .predictor import Prediction, Predictor, UnreadableImageError

__all__ = [
    'CocoResults',
    'DrawnPredictions',
    'Frame',
    'LabelMaps',
    'Prediction',
    'Predictor',
    'Selection',
    'UnreadableImageError',
    'Video',
    'find_inputs',
    'labels_of',
]
