"""``load`` detects the kind of model, adapts tensors once and accepts loaded checkpoints."""

from collections import Counter

import pytest
import torch
from torch import nn

from mmgab.checkpoints import Contents, export, fold, load, load_fc_norm, load_vit, load_whole_model
from mmgab.layers.adaptive import AdaptiveModule
from mmgab.models import PooledNorm, SwinGAB, ViTGAB

from .projects import randomise

SWIN = dict(embed_dims=8, depths=(1, 2), num_heads=(1, 2), strides=(4, 2), out_indices=(0, 1))
VIT = dict(img_size=32, embed_dims=16, depth=2, num_heads=2, out_indices=(1,))


def detector(backbone):
    return nn.ModuleDict(dict(backbone=backbone, neck=PooledNorm(8), head=nn.Linear(4, 3)))


MODELS = {
    'Swin': lambda: SwinGAB(**SWIN),
    'compiled Swin': lambda: torch.compile(SwinGAB(**SWIN)),
    'ViT': lambda: ViTGAB(**VIT),
    'norm': lambda: PooledNorm(8),
    'detector': lambda: detector(SwinGAB(**SWIN)),
    'detector with a ViT': lambda: detector(ViTGAB(**VIT)),
    'no network of ours': lambda: nn.Linear(3, 3),
}


@pytest.mark.parametrize('name', MODELS)
def test_load_accepts_any_model(name, tmp_path):
    source, model = randomise(MODELS[name](), seed=1), randomise(MODELS[name](), seed=2)
    torch.save(source.state_dict(), tmp_path / 'file.pth')
    report = load(model, tmp_path / 'file.pth')
    assert len(report.loaded) == report.total > 0
    for tensor, expected in zip(
        model.state_dict().values(), source.state_dict().values(), strict=True
    ):
        assert torch.equal(tensor, expected)


@pytest.mark.parametrize('name', ['Swin', 'ViT', 'norm'])
def test_load_selects_part_of_detector_file(name, tmp_path):
    whole = detector(MODELS['ViT' if name == 'ViT' else 'Swin']())
    torch.save(whole.state_dict(), tmp_path / 'file.pth')
    model = MODELS[name]()
    report = load(model, tmp_path / 'file.pth')
    assert report.missing == []
    part = whole['neck' if name == 'norm' else 'backbone']
    assert all(torch.equal(t, part.state_dict()[n]) for n, t in model.state_dict().items())


def test_load_rejects_backbone_file_for_detector(tmp_path):
    """It would be tested with a head that was never trained."""
    torch.save(SwinGAB(**SWIN).state_dict(), tmp_path / 'file.pth')
    with pytest.raises(ValueError, match=r'missing key\(s\) .*head\.weight'):
        load(detector(SwinGAB(**SWIN)), tmp_path / 'file.pth')


def test_prefix_for_model_without_swin_raises():
    with pytest.raises(ValueError, match=r"prefix='a' selects one of several Swins .* has 0"):
        load(nn.Linear(3, 3), 'x.pth', prefix='a', checkpoint=nn.Linear(3, 3).state_dict())


def test_prefix_selects_norm():
    norms = {name: randomise(PooledNorm(8), seed) for seed, name in enumerate('ab')}
    tensors = nn.ModuleDict(norms).state_dict()
    for name, norm in norms.items():
        model = PooledNorm(8)
        load(model, 'x.pth', prefix=name, checkpoint=tensors)
        assert torch.equal(model.fc_norm.weight, norm.fc_norm.weight)


def test_checkpoint_in_memory_is_not_read_again():
    source, model = SwinGAB(**SWIN), SwinGAB(**SWIN)
    assert load(model, 'nowhere.pth', checkpoint=source.state_dict()).missing == []


def test_names_of_version_0_1_0_load_the_same(tmp_path):
    swin, vit, norm = (randomise(MODELS[name]()) for name in ('Swin', 'ViT', 'norm'))
    for source, loader in ((swin, load), (vit, load_vit), (norm, load_fc_norm)):
        path = str(tmp_path / 'file.pth')
        torch.save(source.state_dict(), path)
        assert loader(randomise(source, seed=3), path, trust=False, sha256=None).missing == []
    report = load_whole_model(MODELS['Swin'](), swin.state_dict(), 'x.pth', strict=True)
    assert len(report.loaded) == report.total


@pytest.fixture
def adaptations(monkeypatch):
    """Number of times that each module adapted its tensors."""
    counts = Counter()

    def counting(kind):
        adapt = kind.adapt_state_dict

        def wrapper(self, *arguments):
            counts[self] += type(self).adapt_state_dict is wrapper  # else a class calls its base's
            return adapt(self, *arguments)

        monkeypatch.setattr(kind, 'adapt_state_dict', wrapper)

    for kind in set(all_kinds(AdaptiveModule)):
        counting(kind)
    return counts


def all_kinds(base):
    for kind in base.__subclasses__():
        if 'adapt_state_dict' in vars(kind):
            yield kind
        yield from all_kinds(kind)


WAYS = {
    'load': lambda model, tensors: load(model, 'x.pth', checkpoint=tensors),
    'torch': lambda model, tensors: model.load_state_dict(tensors),
}


@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize('name', ['Swin', 'compiled Swin', 'ViT', 'detector'])
def test_each_module_adapts_its_tensors_once(name, way, adaptations):
    model = MODELS[name]()
    for times in (1, 2):
        WAYS[way](model, MODELS[name]().state_dict())
        adaptive = [each for each in model.modules() if isinstance(each, AdaptiveModule)]
        assert adaptive
        assert {adaptations[each] for each in adaptive} == {times}


def test_modules_adapt_again_after_failed_load():
    model = SwinGAB(**SWIN, window_size=5)

    def fail(*arguments):
        raise RuntimeError('a hook of the user')

    handle = model.register_load_state_dict_pre_hook(fail)
    with pytest.raises(RuntimeError, match='a hook of the user'):
        load(model, 'x.pth', checkpoint=SwinGAB(**SWIN).state_dict())
    handle.remove()
    model.load_state_dict(SwinGAB(**SWIN).state_dict())  # of another window


def test_head_named_like_a_method_is_not_a_method():
    """Stock projects support it."""
    neck = nn.ModuleDict(dict(local=nn.Linear(2, 2)))
    model = nn.ModuleDict(dict(backbone=SwinGAB(**SWIN), neck=neck))
    checkpoint, left = export(fold(Contents.of(model.state_dict(), 'x')), 'mmdet')
    assert 'neck.local.weight' in checkpoint['state_dict']
    assert left == []
