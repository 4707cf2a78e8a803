"""transformers' and Microsoft's Swins, in and out; they run in a process of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmgab.checkpoints import Contents, export, fold, load, read_checkpoint, write_checkpoint
from mmgab.checkpoints.transformers_config import transformers_config
from mmgab.models import SwinGAB

from ..conftest import ROOT
from .projects import OURS, PUBLISHED, assert_names_are_complete, images, randomise

PEERS = Path(sys.prefix) / 'peers'
POSITION = dict(use_abs_pos_embed=True)
# Project: arguments of ours, size of the images, and whether it is a classifier with a head.
PROJECTS = {
    'SwinModel': ({}, (448, 448), False),
    'SwinForImageClassification': ({}, (448, 448), True),
    'SwinBackbone': ({}, (97, 131), False),
    'SwinBackbone with position embedding': (
        dict(POSITION, pretrain_img_size=448),
        (448, 448),
        False,
    ),
    'microsoft': ({}, (448, 448), True),
    'microsoft detection': ({}, (97, 131), False),
    'microsoft detection with position embedding': (
        dict(POSITION, pretrain_img_size=64),
        (64, 64),
        False,
    ),
}
PRETRAINED = 'SwinForMaskedImageModeling'
ONE_NORM = ('SwinModel', 'SwinForImageClassification', 'microsoft')

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(
        not PEERS.exists(), reason=f'needs requirements/peers.txt in {PEERS}, as make setup does'
    ),
]


def run_peers(folder, do, more_jobs=()):
    jobs = [dict(do=do, project=name, folder=str(folder / name)) for name in PROJECTS]
    jobs += more_jobs
    (folder / 'jobs.json').write_text(json.dumps(jobs))
    program = ROOT / 'tests' / 'checkpoints' / 'peers_program.py'
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', program, folder / 'jobs.json'],
        env=dict(os.environ, PYTHONPATH=str(PEERS), HF_HUB_OFFLINE='1'),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.fixture(scope='module')
def theirs(tmp_path_factory):
    """Each project's own checkpoint and its outputs, in a folder each."""
    folder = tmp_path_factory.mktemp('theirs')
    for name in (*PROJECTS, PRETRAINED):
        (folder / name).mkdir()
    pretrained = dict(do='make', project=PRETRAINED, folder=str(folder / PRETRAINED))
    names = [
        dict(do='names', project=variant, folder=str(folder), size=size)
        for variant, size in PUBLISHED.items()
    ]
    run_peers(folder, 'make', [pretrained, *names])
    return folder


def head():
    generator = torch.Generator().manual_seed(2)
    weight = torch.randn(5, 128, generator=generator)
    return {'head.fc.weight': weight, 'head.fc.bias': torch.randn(5, generator=generator)}


def ours_for(name):
    """A SwinGAB, and its complete checkpoint, with norms and head as the project has them."""
    arguments, _, has_head = PROJECTS[name]
    model = randomise(SwinGAB(**OURS, **arguments, gab_cfg=dict(per_head=True)))
    tensors = {f'backbone.{name}': tensor for name, tensor in model.state_dict().items()}
    if name in ONE_NORM:
        tensors = {n: t for n, t in tensors.items() if not n.startswith(tuple(map(norm, range(3))))}
    return model, {**tensors, **(head() if has_head else {})}


def norm(stage):
    return f'backbone.norm{stage}.'


@pytest.fixture(scope='module')
def folded(tmp_path_factory):
    """A SwinGAB folded for each project, and the outputs that the project gets from it."""
    folder = tmp_path_factory.mktemp('folded')
    for name in PROJECTS:
        contents = fold(Contents.of(ours_for(name)[1], name))
        if 'microsoft' in name:
            checkpoint, left = export(contents, 'microsoft')
            write_checkpoint(checkpoint, folder / name / 'folded.pth')
        else:
            checkpoint, left = export(contents, 'transformers')
            write_checkpoint(checkpoint, folder / name / 'folded' / 'model.safetensors')
            config = json.dumps(transformers_config(contents))
            (folder / name / 'folded' / 'config.json').write_text(config)
        assert left == []
    run_peers(folder, 'run')
    return folder


def expected_outputs(name, model, weights):
    """The project's outputs as computed by mmgab: maps, pooled features, scores."""
    with torch.no_grad():
        maps = model.eval()(images(PROJECTS[name][1]))
    if name not in ONE_NORM:
        return maps
    pooled = maps[-1].mean(dim=(2, 3))
    scores = [pooled @ weights['head.fc.weight'].T + weights['head.fc.bias']] if weights else []
    return [pooled if name == 'microsoft' else maps[-1], *scores]


def assert_close(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ('name', 'file'),
    [(name, 'swin.pth') for name in PROJECTS]  # transformers' names of version 5
    + [(name, 'saved') for name in PROJECTS if 'microsoft' not in name],  # and those of version 4
)
def test_project_file_gives_same_outputs_as_project(name, file, theirs):
    source = theirs / name / file
    ours = SwinGAB(**OURS, **PROJECTS[name][0], gab_cfg=None)
    report = load(ours, str(source))
    allowed = ('norm0', 'norm1', 'norm2') if name in ONE_NORM else ()
    assert [n for n in report.missing if not n.startswith(allowed)] == []
    weights = Contents.of(read_checkpoint(str(source)), 'x').swin if PROJECTS[name][2] else {}
    outputs = torch.load(theirs / name / 'outputs.pth', weights_only=True)
    assert_close(expected_outputs(name, ours, weights), outputs)


@pytest.mark.parametrize('file', ['swin.pth', 'saved'])
def test_transformers_masked_image_model_loads_without_decoder(file, theirs):
    ours = SwinGAB(**OURS, gab_cfg=None)
    report = load(ours, str(theirs / PRETRAINED / file))
    assert set(report.unexpected) == {
        'swin.embeddings.mask_token', 'decoder.0.weight', 'decoder.0.bias'
    }  # fmt: skip
    outputs = torch.load(theirs / PRETRAINED / 'outputs.pth', weights_only=True)
    with torch.no_grad():
        assert_close(ours.eval()(images((448, 448)))[-1:], outputs)


@pytest.mark.parametrize('name', PROJECTS)
def test_folded_swingab_loads_strictly_with_same_outputs(name, folded):
    model, tensors = ours_for(name)
    outputs = torch.load(folded / name / 'outputs_of_folded.pth', weights_only=True)
    weights = {n: t for n, t in tensors.items() if n.startswith('head')}
    assert_close(expected_outputs(name, model, weights), outputs)


@pytest.mark.parametrize('name', PROJECTS)
def test_round_trip_preserves_every_tensor(name, theirs):
    project = 'microsoft' if 'microsoft' in name else 'transformers'
    source = theirs / name / ('swin.pth' if project == 'microsoft' else 'saved')
    checkpoint = read_checkpoint(str(source))
    original = checkpoint.get('model', checkpoint.get('state_dict', checkpoint))
    back, _ = export(Contents.of(checkpoint, 'x'), project)
    back = back.get('model', back.get('state_dict', back))
    # A SwinBackbone saves the final norm of the model inside it, which it does not apply. Masks are
    # those of the size that the classifier was built for, here another than the published one.
    unused = ('swin.layernorm', 'layernorm') if 'Backbone' in name else ()
    kept = {n: t for n, t in original.items() if not n.startswith(unused)}
    without_masks = {n for n in back if not n.endswith('attn_mask')}
    assert without_masks == {n for n in kept if not n.endswith('attn_mask')}
    for tensor_name in without_masks:
        assert torch.equal(back[tensor_name], kept[tensor_name]), tensor_name


@pytest.mark.parametrize('variant', PUBLISHED)
@pytest.mark.parametrize('name', ['transformers', 'microsoft', 'microsoft detection'])
def test_published_sizes_have_complete_names_and_shapes(name, variant, theirs):
    shapes = json.loads((theirs / f'{variant}.json').read_text())[name]
    tensors = {n: torch.empty(shape, device='meta') for n, shape in shapes.items()}
    assert_names_are_complete(tensors, variant)
