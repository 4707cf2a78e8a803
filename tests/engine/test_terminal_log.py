"""The terminal gets short lines, the log file everything."""

import io
import logging

import pytest

from mmgab.engine.terminal_log import shorten_terminal

STEP = (
    'Epoch(train)  [1][ 50/1000]  base_lr: 2.8239e-04 lr: 2.8239e-04  eta: 0:07:25  '
    'time: 1.9023  data_time: 0.0210  memory: 7801  grad_norm: 52.0072  loss: 3.7498  '
    'loss_rpn_cls: 0.6691  loss_rpn_bbox: 0.0807  loss_cls: 0.5621  acc: 78.1250'
)
SCORES = 'Epoch(val) [27][4/4]    ' + '  '.join(
    f'coco/{kind}_mAP{size}: 0.{number}410'
    for kind in ('bbox', 'segm')
    for number, size in enumerate(('', '_50', '_75', '_s', '_m', '_l'))
)


@pytest.fixture
def log(tmp_path):
    """Log a message; returns what the terminal and the file got."""
    logger = logging.Logger('run')
    terminal = io.StringIO()
    logger.addHandler(logging.StreamHandler(terminal))
    logger.addHandler(logging.FileHandler(tmp_path / 'run.log'))
    shorten_terminal(logger)

    def call(message, level=logging.INFO):
        logger.log(level, message)
        return terminal.getvalue(), (tmp_path / 'run.log').read_text()

    return call


def test_training_step_is_one_line_with_the_loss_first(log):
    terminal, file = log(STEP)
    (line,) = terminal.splitlines()
    assert len(line) <= 120
    assert 'Epoch(train) [1][ 50/1000]  loss: 3.7498  lr: 2.8239e-04  eta: 0:07:25' in line
    assert 'base_lr' not in line
    assert file == f'{STEP}\n'


def test_every_metric_of_a_validation_is_shown(log):
    terminal, _ = log(SCORES)
    assert all(len(line) <= 120 for line in terminal.splitlines())
    for value in SCORES.partition(']    ')[2].split('  '):
        assert value in terminal


@pytest.mark.parametrize(
    'message',
    ['Config:\nmodel = 1', 'Hooks will be executed in the following order:\n', 'Exp name: a',
     '\n-----\nSystem environment:\n', 'paramwise_options -- a:lr=1', 'Command: mmgab train',
     'Evaluating bbox...',
     'segm_mAP_copypaste: 0.5 0.8'],
)  # fmt: skip
def test_the_set_up_is_in_the_file_alone(log, message):
    terminal, file = log(message)
    assert terminal == ''
    assert message in file


def test_warnings_are_shown_with_their_level(log):
    terminal, _ = log('Config: is odd', logging.WARNING)
    assert terminal.rstrip().endswith('WARNING - Config: is odd')


def test_other_messages_are_shown_unchanged(log):
    message = 'Loaded 171 of 201 tensors: ' + 'a.b.c, ' * 40
    assert message in log(message)[0]
