"""Names that torch.compile, data parallelism and sharding leave in a checkpoint."""

import pytest
import torch
import torch.distributed as dist
from mmengine.model import ExponentialMovingAverage
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from mmgab.checkpoints import Contents, export, fold, load, load_vit, load_whole_model, unfold
from mmgab.checkpoints.contents import unwrap
from mmgab.checkpoints.publication import publish
from mmgab.checkpoints.wrappers import wrapper_stripper
from mmgab.models import SwinGAB, ViTGAB

from .projects import randomise

SMALL = dict(embed_dims=8, depths=(1, 2), num_heads=(1, 2), strides=(4, 2), out_indices=(0, 1))


class Residual(nn.Module):
    """An ordinary module whose child is called ``module``."""

    def __init__(self):
        super().__init__()
        self.module = nn.Linear(4, 4)


class Detector(nn.Module):
    def __init__(self, **backbone):
        super().__init__()
        self.backbone = SwinGAB(**SMALL, **backbone)
        self.neck = nn.Sequential(Residual(), nn.Linear(4, 4))
        self.head = nn.Linear(4, 3)


def compiled_inside(model):
    model.backbone = torch.compile(model.backbone)
    return model


def compiled_stage(model):
    model.backbone.stages[1] = torch.compile(model.backbone.stages[1])
    return model


def compiled_everywhere(model):
    for name in ('backbone', 'neck', 'head'):
        setattr(model, name, torch.compile(getattr(model, name)))
    return torch.compile(model)


def parallel_inside(model):
    model.backbone = DataParallel(model.backbone)
    return model


def parallel_block(model):
    model.backbone.stages[1].blocks[0] = DataParallel(model.backbone.stages[1].blocks[0])
    return model


def parallel_parts(model):
    """Each part by itself, as MMSeparateDistributedDataParallel does."""
    for name in ('backbone', 'neck', 'head'):
        setattr(model, name, DataParallel(getattr(model, name)))
    return model


def parallel_and_compiled(model):
    model.backbone = torch.compile(DataParallel(torch.compile(model.backbone)))
    return DataParallel(model)


def checkpointed(model):
    model.backbone.stages[0] = checkpoint_wrapper(model.backbone.stages[0])
    return model


def distributed(model):
    model.backbone = DistributedDataParallel(model.backbone)
    return model


WRAPPED = {
    'nothing': lambda model: model,
    'compiled inside': compiled_inside,
    'a compiled stage': compiled_stage,
    'compiled everywhere': compiled_everywhere,
    'data parallel': DataParallel,
    'data parallel inside': parallel_inside,
    'a data-parallel block': parallel_block,
    'data-parallel parts': parallel_parts,
    'both': parallel_and_compiled,
    'activation checkpointing': checkpointed,
    'distributed inside': distributed,
}


@pytest.fixture(scope='module', autouse=True)
def one_process(tmp_path_factory):
    store = tmp_path_factory.mktemp('store') / 'file'
    dist.init_process_group('gloo', init_method=f'file://{store}', rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def wrapped(kind, seed, **backbone):
    """A detector's own tensors, and the detector in its wrappers."""
    model = randomise(Detector(**backbone), seed)
    own = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    return own, WRAPPED[kind](model)


@pytest.mark.parametrize('kind', WRAPPED)
def test_wrapped_detector_folds_like_unwrapped_detector(kind):
    own, model = wrapped(kind, 1)
    expected, _ = export(fold(Contents.of(own, 'x')), 'mmdet')
    checkpoint, left = export(fold(Contents.of(dict(state_dict=model.state_dict()), 'x')), 'mmdet')
    assert left == []
    assert set(checkpoint['state_dict']) == set(expected['state_dict'])
    for name, tensor in expected['state_dict'].items():
        assert torch.equal(checkpoint['state_dict'][name], tensor), name


@pytest.mark.parametrize('target', ['nothing', 'compiled everywhere', 'data-parallel parts'])
@pytest.mark.parametrize('kind', WRAPPED)
def test_wrapped_file_loads_strictly_into_any_wrapped_model(kind, target):
    own, source = wrapped(kind, 1)
    _, model = wrapped(target, 2)
    load_whole_model(model, dict(state_dict=source.state_dict()), 'x', strict=True, resize=False)
    tensors = [t for t in model.state_dict().values() if t.is_floating_point()]
    assert len(tensors) == len(own)
    assert all(torch.equal(a, b) for a, b in zip(tensors, own.values(), strict=True))


@pytest.mark.parametrize('kind', WRAPPED)
def test_wrapped_or_plain_backbone_loads_wrapped_files(kind, tmp_path):
    own, source = wrapped(kind, 1, gab_cfg=None)
    torch.save(source.state_dict(), tmp_path / 'x.pth')
    for wrap in (lambda model: model, torch.compile, DataParallel):
        model = SwinGAB(**SMALL, window_size=5)
        report = load(wrap(model), str(tmp_path / 'x.pth'))
        assert len(report.resized) == 3
        assert len(report.missing) == 6
        assert torch.equal(model.norm1.weight, own['backbone.norm1.weight'])
        assert torch.equal(
            model.stages[1].blocks[0].attn.w_msa.proj.weight,
            own['backbone.stages.1.blocks.0.attn.w_msa.proj.weight'],
        )


def test_compiled_model_is_adapted_once(tmp_path):
    """Tables are resized and sigma is rescaled once, whatever wraps the modules."""
    torch.save(SwinGAB(**SMALL, window_size=6).state_dict(), tmp_path / 'x.pth')
    model = SwinGAB(**SMALL, window_size=12, gab_cfg=dict(rescale_sigma=True))
    for block in model.stages[1].blocks:
        block.attn.w_msa = torch.compile(block.attn.w_msa)
    load(torch.compile(model), str(tmp_path / 'x.pth'))
    assert model.stages[1].blocks[1].attn.w_msa.gaussian.sigma.tolist() == [10.0]


def test_compiled_checkpoint_unfolds():
    _, model = wrapped('compiled everywhere', 1, gab_cfg=None)
    _, splits = unfold(Contents.of(model.state_dict(), 'x'))
    assert set(splits) == {
        f'stages.{place}.attn.w_msa.relative_position_bias_table'
        for place in ('0.blocks.0', '1.blocks.0', '1.blocks.1')
    }


@pytest.mark.parametrize('wrap', [torch.compile, DataParallel])
def test_wrapped_vits_load(wrap, tmp_path):
    arguments = dict(img_size=32, embed_dims=16, depth=2, num_heads=2, out_indices=(1,))
    source = randomise(ViTGAB(**arguments))
    held = nn.ModuleDict(dict(backbone=wrap(source)))
    torch.save(held.state_dict(), tmp_path / 'x.pth')
    model = ViTGAB(**arguments)
    assert load_vit(wrap(model), str(tmp_path / 'x.pth')).missing == []
    assert torch.equal(model.norm.weight, source.norm.weight)
    whole = nn.ModuleDict(dict(backbone=ViTGAB(**arguments)))
    load_whole_model(whole, held.state_dict(), 'x', strict=True)
    assert torch.equal(whole.backbone.norm.weight, source.norm.weight)


SWIN = 'stages.0.blocks.0.attn.w_msa.qkv.weight'
STRIPPED = {
    'fairscale': (f'backbone._fsdp_wrapped_module._fpw_module.{SWIN}', f'backbone.{SWIN}'),
    'FSDP of blocks': (
        f'{SWIN[:9]}_fsdp_wrapped_module.{SWIN[9:]}',
        SWIN,
    ),
    'checkpointed': (f'_checkpoint_wrapped_module.{SWIN}', SWIN),
    'Lightning': (f'_forward_module.model.{SWIN}', f'model.{SWIN}'),
    'averaged': (f'ema_model.module.{SWIN}', f'ema_model.{SWIN}'),
    'twice': (f'module.module._orig_mod.module.backbone.{SWIN}', f'backbone.{SWIN}'),
    'a name that ends alike': ('head.my_orig_mod.weight', 'head.my_orig_mod.weight'),
    'a name that begins alike': ('head.module_list.weight', 'head.module_list.weight'),
    'a submodule': ('head.submodule.weight', 'head.submodule.weight'),
    'an ordinary child': ('head.module.weight', 'head.module.weight'),
}


@pytest.mark.parametrize('case', STRIPPED)
def test_only_wrappers_are_stripped_from_names(case):
    name, expected = STRIPPED[case]
    assert wrapper_stripper([name])(name) == expected


def test_child_named_module_with_siblings_keeps_its_name():
    names = [f'backbone.module.{SWIN}', 'backbone.adapter.weight', 'head.module.weight']
    strip = wrapper_stripper(names)
    assert [strip(name) for name in names] == names


def test_siblings_of_wrapped_swin_lose_their_wrapper():
    names = [f'backbone.module.{SWIN}', 'neck.module.weight', 'head.module.a', 'head.b']
    strip = wrapper_stripper(names)
    assert [strip(n) for n in names] == [f'backbone.{SWIN}', 'neck.weight', *names[2:]]


def test_stripping_does_not_merge_two_tensors():
    """A real child named ``module`` inside a wrapper, next to the wrapper's own."""
    model = Detector()
    tensors = {n: t for n, t in model.state_dict().items() if not n.startswith('head')}
    tensors |= {f'head.{m}module.{p}': torch.ones(3) for m in ('', 'module.') for p in ('weight',)}
    with pytest.raises(ValueError, match=r'unexpected key\(s\) \(head\.module\.weight'):
        load_whole_model(model, tensors, 'x', strict=True)


def test_key_with_and_without_wrapper_is_rejected():
    tensors = SwinGAB(**SMALL).state_dict()
    twice = {f'backbone._orig_mod.{n}': t for n, t in tensors.items()}
    twice |= {f'backbone.{n}': t for n, t in tensors.items()}
    with pytest.raises(ValueError, match=r'x holds backbone\..* twice'):
        Contents.of(twice, 'x')


@pytest.mark.parametrize('averaged', ['ema_model', 'model_ema', 'net.ema', 'swa', 'averaged_model'])
def test_averaged_weights_of_any_name_take_precedence(averaged):
    plain, mean = (randomise(SwinGAB(**SMALL), seed).state_dict() for seed in (1, 2))
    tensors = {f'online_model.{n}': t for n, t in plain.items()}
    tensors |= {f'{averaged}.module.{n}': t for n, t in mean.items()}
    contents = Contents.of({**tensors, 'steps': torch.tensor(3)}, 'x')
    assert torch.equal(contents.swin['norm1.weight'], mean['norm1.weight'])


@pytest.mark.parametrize('averaging', [AveragedModel, ExponentialMovingAverage])
def test_averaging_counters_are_ignored(averaging, tmp_path):
    model = randomise(Detector())
    averaged = averaging(model).state_dict()
    load_whole_model(Detector(), averaged, 'x', strict=True)
    contents = Contents.of(averaging(model.backbone).state_dict(), 'x')
    assert set(contents.swin) == set(model.backbone.state_dict())
    published = publish(averaged, tmp_path / 'x.pth')
    assert set(torch.load(published, weights_only=True)) == set(model.state_dict())


def test_steps_of_ordinary_model_stays_a_tensor():
    tensors = {**SwinGAB(**SMALL).state_dict(), 'steps': torch.tensor(3)}
    with pytest.raises(ValueError, match=r'1 unexpected key\(s\) \(steps\)'):
        load_whole_model(SwinGAB(**SMALL), tensors, 'x', strict=True)


def test_backbone_takes_precedence_over_momentum_encoder():
    """As stock Swins take it: MoCo's momentum encoder is next to the backbone."""
    plain, other = (randomise(SwinGAB(**SMALL), seed).state_dict() for seed in (1, 2))
    tensors = {f'momentum_encoder.module.0.{n}': t for n, t in other.items()}
    contents = Contents.of(tensors | {f'backbone.{n}': t for n, t in plain.items()}, 'x')
    assert torch.equal(contents.swin['norm1.weight'], plain['norm1.weight'])
    assert len(contents.others) == len(other)


def test_prefix_may_include_wrappers():
    tensors = SwinGAB(**SMALL).state_dict()
    two = {f'{a}._orig_mod.backbone.module.{n}': t for a in 'ab' for n, t in tensors.items()}
    for prefix in ('b.backbone', 'b._orig_mod.backbone.module', 'b._orig_mod.backbone.module.'):
        assert Contents.of(two, 'x', prefix).place == 'backbone.'


@pytest.mark.parametrize('key', ['model_state_dict', 'module', 'model'])
def test_tensors_are_found_under_common_keys(key):
    tensors = SwinGAB(**SMALL).state_dict()
    assert set(Contents.of({key: tensors, 'epoch': 3}, 'x').swin) == set(tensors)


@pytest.mark.parametrize('key', ['network', 'net', 'weights', 'params_ema', 'encoder'])
def test_only_mapping_with_tensors_is_the_state_dict(key):
    own = SwinGAB(gab_cfg=None, **SMALL).state_dict()
    tensors, _ = unwrap({'epoch': 3, 'optimizer': {'state': {}}, key: own}, 'file')
    assert list(tensors) == list(own)


def test_file_without_tensors_error_lists_keys():
    with pytest.raises(ValueError, match=r'no tensors by name; its keys are epoch, args'):
        unwrap({'epoch': 3, 'args': {'lr': 0.1}}, 'file')
