"""What the words of ``mmgab predict`` name."""

import cv2
import numpy as np
import pytest
from PIL import Image

from mmgab.prediction import Video, find_inputs


@pytest.fixture
def folder(tmp_path):
    """Four images in two folders, and files that are not images."""
    for name in ('b.png', 'a.JPG', 'deep/a.png', 'deep/c.tiff', 'predictions/vis/a.png'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (4, 4)).save(tmp_path / name)
    (tmp_path / 'notes.txt').write_text('x')
    return tmp_path


def write_video(path, count, size=(64, 48), fps=10):
    """Write a video of plain frames, each of another grey; returns its path."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'MJPG'), fps, size)
    assert writer.isOpened()
    for index in range(count):
        writer.write(np.full((size[1], size[0], 3), 20 * index, np.uint8))
    writer.release()
    return path


def names(inputs):
    return [one.name for one in inputs]


def test_folder_is_searched_recursively_in_order(folder):
    inputs = find_inputs([str(folder)], folder / 'predictions')
    assert [one.file_name for one in inputs] == ['a.JPG', 'b.png', 'deep/a.png', 'deep/c.tiff']
    assert names(inputs) == ['a', 'b', 'deep/a', 'deep/c']


def test_output_folder_is_not_searched(folder):
    everything = find_inputs([str(folder)], folder / 'elsewhere')
    assert 'predictions/vis/a' in names(everything)
    assert 'predictions/vis/a' not in names(find_inputs([str(folder)], folder / 'predictions'))


def test_glob_pattern_matches_files(folder):
    found = find_inputs([str(folder / '**' / 'a.*')], folder / 'predictions' / 'vis' / 'x')
    assert [one.path.relative_to(folder).as_posix() for one in found] == [
        'a.JPG', 'deep/a.png', 'predictions/vis/a.png',
    ]  # fmt: skip


def test_output_names_are_unique(folder):
    words = [str(folder / 'a.JPG'), str(folder / 'deep' / 'a.png'), str(folder / 'deep')]
    assert names(find_inputs(words, folder / 'out')) == ['a', 'a_2', 'a_3', 'c']


def test_file_name_with_glob_characters_is_literal(tmp_path):
    Image.new('RGB', (4, 4)).save(tmp_path / 'shot[1].png')
    assert names(find_inputs([str(tmp_path / 'shot[1].png')], tmp_path / 'out')) == ['shot[1]']


@pytest.mark.parametrize('word', ['nowhere.png', 'empty', '*.gif', 'torn.mp4', '93'])
def test_input_without_match_raises(word, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'torn.mp4').write_bytes(b'not a video')
    with pytest.raises(ValueError, match=word.replace('*', r'\*')):
        find_inputs([word], tmp_path / 'out')


def test_video_yields_frames_in_order(tmp_path):
    path = write_video(tmp_path / 'clip.avi', 5)
    (video,) = find_inputs([str(path)], tmp_path / 'out')
    assert isinstance(video, Video)
    assert (len(video), video.fps) == (5, 10)
    frames = list(video.frames())
    assert [frame.file_name for frame in frames] == [f'clip.avi#{index}' for index in range(5)]
    assert [frame.name for frame in frames] == [f'clip/{index:06}' for index in range(5)]
    assert [round(frame.pixels.mean() / 20) for frame in frames] == list(range(5))
