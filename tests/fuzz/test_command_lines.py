"""Tools accept arbitrary command lines, or exit with 2 and a message."""

import contextlib
import io
import os
import sys
from importlib import import_module

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from mmgab.models import SwinGAB

SWIN = dict(embed_dims=8, depths=(1, 1), num_heads=(1, 2), strides=(4, 2), out_indices=(0, 1))
CONVERT = 'tools.model_converters.convert'
PARAMS = 'tools.analysis_tools.gab_params'
MMGAB = 'mmgab.cli.commands'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Return a folder with a valid, a truncated, an unrelated and an empty checkpoint."""
    path = tmp_path_factory.mktemp('words')
    torch.manual_seed(0)
    torch.save(dict(state_dict=SwinGAB(**SWIN).state_dict()), path / 'sound.pth')
    (path / 'torn.pth').write_bytes((path / 'sound.pth').read_bytes()[:-99])
    torch.save(dict(weight=torch.ones(3)), path / 'other.pth')
    (path / 'empty.pth').touch()
    return path


words = st.lists(
    st.one_of(
        st.sampled_from(
            ['inspect', 'import', 'fold', 'unfold', 'publish', 'sound.pth', 'torn.pth', 'other.pth',
             'empty.pth', 'nowhere.pth', '.', '-o', 'out.pth', 'out.safetensors', '--force', '--to',
             'timm', 'mmdet', 'torchvision', '--figure', 'out.png', '--prefix', 'backbone.',
             '--sha256', 'abcdef01', '--debug', '--per-head', '--csv', 'out.csv', 'timm://no_such_model',
             'https://127.0.0.1:9/x.pth', 'stages.0', '--num', '-1', '0']
        ),
        st.text(max_size=5).filter(lambda word: '\0' not in word),
    ),
    max_size=6,
)  # fmt: skip


@contextlib.contextmanager
def working_in(folder):
    """Change the working directory, as contextlib.chdir of Python 3.11 does."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def run(tool, arguments, folder):
    """Run a tool in this process, in a folder; return exit code and output."""
    output, before = io.StringIO(), sys.argv
    sys.argv = [tool, *arguments]
    try:
        with (
            working_in(folder),
            contextlib.redirect_stdout(output),
            contextlib.redirect_stderr(output),
        ):
            try:
                code = import_module(tool).main()
            except SystemExit as exit:
                code = exit.code
    finally:
        sys.argv = before
    return code, output.getvalue()


@pytest.mark.parametrize('tool', [CONVERT, PARAMS, MMGAB])
@given(arguments=words)
@example(arguments=['inspect', 'sound.pth'])
@example(arguments=['fold', 'sound.pth', '--to', 'timm', '-o', 'out.pth', '--force'])
@example(arguments=['inspect', 'torn.pth'])
def test_arbitrary_arguments_work_or_exit_with_a_message(tool, arguments, folder):
    sound = (folder / 'sound.pth').read_bytes()
    code, output = run(tool, arguments, folder)
    assert (folder / 'sound.pth').read_bytes() == sound
    if code:
        assert code == 2
        assert output.strip(), 'exit code 2 without a message'
        assert 'Traceback' not in output or '--debug' in arguments
