"""Run inference with a trained detector or segmentor on images and videos.

INPUT is an image, a folder (searched recursively), a glob pattern, a video, or the index of a
camera (such as 0; stop it with Ctrl-C). Images are processed by the test pipeline of the config, so
that predictions equal those of mmgab test. Unreadable images are reported and skipped.

Examples:
    mmgab predict CONFIG CHECKPOINT photo.jpg folder 'shots/*.png' clip.mp4 -o predictions
    mmgab predict CONFIG CHECKPOINT folder -o predictions --score 0.5 --classes person car
    mmgab predict CONFIG upernet.onnx folder -o predictions

Output in --out:
    vis/NAME.png, vis/NAME.mp4    images and videos with the predictions drawn in
    predictions.json              detectors: COCO annotations with scores, masks as RLE
    labels/NAME.png               segmentors: label maps; a pixel value is a class index

Exit codes:
    0    all inputs were predicted
    1    at least one image could not be read
    2    wrong argument, config, checkpoint or input; one message is printed
"""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.device import get_device
from tqdm import tqdm

from mmgab.engine import load_config
from mmgab.prediction import (
    CocoResults,
    DrawnPredictions,
    Frame,
    LabelMaps,
    Predictor,
    Selection,
    UnreadableImageError,
    find_inputs,
    labels_of,
)

from .arguments import add_out, add_trust, positive
from .checkpoint_files import check_is_there
from .config_arguments import add_cfg_options, add_config
from .mistakes import CommandError

DEFAULT_SCORE = 0.3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_config(parser)
    parser.add_argument(
        'checkpoint',
        help="checkpoint with all weights of the config's model, or an .onnx file of a complete "
        'segmentor',
    )
    parser.add_argument(
        'inputs',
        nargs='+',
        metavar='INPUT',
        help='image, folder, glob pattern, video, or index of a camera',
    )
    add_out(parser, '-o', required=True, help='output folder')
    parser.add_argument(
        '--score',
        type=float,
        help=f'detectors: score threshold of instances; default: {DEFAULT_SCORE}',
    )
    parser.add_argument(
        '--classes', nargs='+', metavar='NAME', help='keep only these classes; default: all'
    )
    parser.add_argument('--batch-size', type=positive, default=1, help='batch size; default: 1')
    parser.add_argument(
        '--device', help='cuda:0, cpu, ...; default: the accelerator if there is one, else cpu'
    )
    add_cfg_options(parser)
    add_trust(parser)


def writers_of(
    predictor: Predictor, config: Config, out: Path
) -> tuple[CocoResults | LabelMaps, DrawnPredictions]:
    """Return the writers of predictions and of visualizations."""
    drawn = DrawnPredictions(out, config, predictor.kind, predictor.classes, predictor.palette)
    if predictor.kind == 'detector':
        return CocoResults(out, predictor.classes), drawn
    return LabelMaps(out, predictor.palette), drawn


class Reader:
    """Prepared batches of the inputs.

    Attributes:
        skipped: Number of images that could not be read.
    """

    def __init__(self, predictor: Predictor, frames: Iterator[Frame], size: int) -> None:
        self.skipped = 0
        self._predictor = predictor
        self._frames = frames
        self._size = size

    def __iter__(self) -> Iterator[list[tuple[Frame, np.ndarray, dict]]]:
        """Yield batches; report images that cannot be read."""
        batch = []
        for frame in self._frames:
            try:
                batch.append((frame, *self._predictor.prepare(frame)))
            except UnreadableImageError as error:
                self.skipped += 1
                tqdm.write(f'skipped: {error}', file=sys.stderr)
            if len(batch) == self._size:
                yield batch
                batch = []
        if batch:
            yield batch


def run(args: argparse.Namespace) -> int:
    """Predict all inputs; returns the exit code."""
    inputs = find_inputs(args.inputs, args.out)
    check_is_there(args.checkpoint)
    config = load_config(args.config, args.cfg_options)
    predictor = Predictor(config, args.checkpoint, args.device or get_device(), args.trust)
    selection = selection_of(args, predictor)
    writers = writers_of(predictor, config, args.out)
    is_endless = any(len(one) == 0 for one in inputs)
    total = None if is_endless else sum(map(len, inputs))
    frames = chain.from_iterable(one.frames() for one in inputs)
    reader = Reader(predictor, frames, args.batch_size)
    count, start = 0, time.monotonic()
    with ExitStack() as stack:
        for writer in writers:
            stack.enter_context(writer)
        bar = stack.enter_context(tqdm(total=total, unit='image', disable=None))
        try:
            for batch in reader:
                for prediction in predictor.predict(batch):
                    selection.apply_(prediction)
                    for writer in writers:
                        writer.add(prediction)
                count += len(batch)
                bar.update(len(batch))
        except KeyboardInterrupt:
            if not is_endless:
                raise
    seconds = time.monotonic() - start
    images = '1 image' if count == 1 else f'{count} images'
    print(f'{images} in {seconds:.1f} s ({pace(count, seconds)}), written to {args.out}')
    if reader.skipped:
        print(f'{reader.skipped} images could not be read', file=sys.stderr)
    return 1 if reader.skipped else 0


def pace(count: int, seconds: float) -> str:
    """Describe the speed in images per second, or, if slower than one, in seconds per image."""
    if 0 < count < seconds:
        return f'{seconds / count:.1f} s per image'
    return f'{count / seconds:.1f} images/s'


def selection_of(args: argparse.Namespace, predictor: Predictor) -> Selection:
    """Return the selection of ``--score`` and ``--classes``.

    Raises:
        CommandError: If ``--score`` is given for a segmentor.
        ValueError: If a class does not exist.
    """
    score = args.score
    if predictor.kind == 'segmentor' and score is not None:
        raise CommandError('--score is for detectors; a segmentor labels every pixel')
    if predictor.kind == 'detector' and score is None:
        score = DEFAULT_SCORE
    labels = labels_of(args.classes, predictor.classes)
    return Selection(score, labels, len(predictor.classes))
