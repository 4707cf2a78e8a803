"""Predictions drawn onto images and videos, by MMEngine's visualizers."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.registry import VISUALIZERS

from mmgab.atomic_file import replacing

from .inputs import Video
from .predictor import Prediction

_VISUALIZERS = dict(detector='mmdet.DetLocalVisualizer', segmentor='mmseg.SegLocalVisualizer')


class DrawnPredictions:
    """Write ``vis/NAME.png`` for each image and ``vis/NAME.mp4`` for each video.

    Args:
        folder: Where the folder ``vis`` goes.
        config: Its ``visualizer`` draws, if there is one; else that of MMDetection or
            MMSegmentation.
        kind: ``'detector'`` or ``'segmentor'``.
        classes: Names of the classes, by label.
        palette: A colour of each class, RGB.
    """

    def __init__(
        self,
        folder: Path,
        config: Config,
        kind: str,
        classes: Sequence[str],
        palette: Sequence[Sequence[int]],
    ) -> None:
        self.path = folder / 'vis'
        settings = config.get('visualizer') or dict(type=_VISUALIZERS[kind])
        if kind == 'segmentor':
            settings = {'alpha': 0.5, **settings}  # 0.8 by default, which hides the image
        # Without backends: their folders belong to training runs.
        settings = {**settings, 'vis_backends': None, 'name': 'mmgab_predict'}
        self._visualizer = VISUALIZERS.build(settings)
        self._visualizer.dataset_meta = dict(classes=classes, palette=palette)
        self._options: dict = dict(draw_gt=False)
        if kind == 'detector':
            self._options['pred_score_thr'] = -1.0  # instances were selected before
        self._video: Video | None = None
        self._files = ExitStack()
        self._append: Callable[[np.ndarray], None]

    def add(self, prediction: Prediction) -> None:
        """Draw an image; a frame of a video is appended to its video."""
        drawn = self._draw(prediction)
        video = prediction.frame.video
        if video is None:
            with replacing(self.path / f'{prediction.frame.name}.png') as temporary:
                temporary.write_bytes(cv2.imencode('.png', drawn)[1].tobytes())
            return
        if video is not self._video:
            self._files.close()
            self._video = video
            self._append = self._files.enter_context(self._new_video(video, drawn))
        self._append(drawn)

    def __enter__(self) -> 'DrawnPredictions':
        return self

    def __exit__(self, *error: Any) -> None:
        """Complete the last video; delete it if an error ended the predictions."""
        self._files.__exit__(*error)

    def _draw(self, prediction: Prediction) -> np.ndarray:
        """Return the drawn image, BGR."""
        image = prediction.image[..., :3]
        if image.ndim == 2 or image.shape[2] < 3:
            image = np.repeat(image.reshape(*image.shape[:2], -1)[..., :1], 3, axis=2)
        image = np.ascontiguousarray(image[..., ::-1].clip(0, 255).astype(np.uint8))
        self._visualizer.add_datasample('image', image, prediction.sample, **self._options)
        return np.ascontiguousarray(self._visualizer.get_image()[..., ::-1])

    @contextmanager
    def _new_video(self, video: Video, frame: np.ndarray) -> Iterator[Callable]:
        """Give a function that appends a frame."""
        path = self.path / f'{video.name}.mp4'
        height, width = frame.shape[:2]
        with replacing(path) as temporary:
            code = cv2.VideoWriter.fourcc(*'mp4v')
            writer = cv2.VideoWriter(str(temporary), code, video.fps, (width, height))
            if not writer.isOpened():
                raise OSError(f'{path}: OpenCV cannot write MPEG-4 videos here')
            try:
                yield writer.write
            finally:
                writer.release()
