"""configs/metafile.yml: entries, parameters and FLOPs, its generator, and the model zoo page."""

import copy
import functools

import pytest
import torch
import torchvision.models
import yaml
from timm import create_model
from torch.utils.flop_counter import FlopCounterMode

from mmgab import SwinGAB
from mmgab.engine import load_config
from projects.metafile import __main__ as program
from projects.metafile.config_facts import facts_of
from projects.metafile.index_file import HEADER, updated
from projects.metafile.model_counts import build_on_meta, count_flops, count_parameters
from projects.site.zoo_page import write_zoo

from ..cli.runs import call
from ..conftest import ROOT

METAFILE = ROOT / 'configs' / 'metafile.yml'
FILES = sorted((ROOT / 'configs').glob('*.py'))
SWINS = {
    'tiny': dict(embed_dims=96, depths=(2, 2, 6, 2), num_heads=(3, 6, 12, 24)),
    'small': dict(embed_dims=96, depths=(2, 2, 18, 2), num_heads=(3, 6, 12, 24)),
    'base': dict(embed_dims=128, depths=(2, 2, 18, 2), num_heads=(4, 8, 16, 32)),
}


@functools.cache
def entries():
    """Return the entries of the metafile by name."""
    return {entry['Name']: entry for entry in yaml.safe_load(METAFILE.read_text())['Models']}


def generated():
    """Return the generated fields of all entries, as the file has them."""
    keys = ('Name', 'In Collection', 'Config', 'Metadata')
    return [{key: copy.deepcopy(entry[key]) for key in keys} for entry in entries().values()]


def test_every_config_has_one_entry_and_every_entry_a_config():
    names = [entry['Name'] for entry in yaml.safe_load(METAFILE.read_text())['Models']]
    assert names == [path.stem for path in FILES]


@pytest.mark.slow
@pytest.mark.parametrize('file', FILES, ids=lambda file: file.stem)
def test_entry_equals_what_is_counted_now(file):
    facts, entry = facts_of(file), entries()[file.stem]
    assert {key: entry[key] for key in facts} == facts


@pytest.mark.parametrize(
    ('name', 'facts'),
    [
        ('mask_rcnn_swin_t_coco_1x', ('Instance Segmentation', 12, 16, 'Swin-T', '800 x 1280')),
        ('retinanet_swin_t_gab_coco', ('Object Detection', 12, 16, 'Swin-T', '800 x 1280')),
        ('mask_rcnn_vit_nuclei', ('Instance Segmentation', 27, 4, 'ViT-custom', '192 x 192')),
        ('upernet_swin_b_ade20k', ('Semantic Segmentation', 160000, 16, 'Swin-B', '512 x 512')),
        ('upernet_swin_cb_nuclei', ('Semantic Segmentation', 100, 8, 'Swin-custom', '128 x 128')),
        ('vit_s_imagenet', ('Image Classification', 300, 512, 'ViT-S', '224 x 224')),
        ('vit_s_gab_pets', ('Image Classification', 200, 64, 'ViT-S', '224 x 224')),
    ],
)
def test_entry_has_the_settings_of_the_recipe(name, facts):
    found = entries()[name]['Metadata']
    length = found.get('Epochs') or found['Iterations']
    assert facts == (
        found['Task'], length, found['Batch Size'], found['Backbone'], found['Image Size'],
    )  # fmt: skip


@pytest.mark.parametrize('name', SWINS)
def test_swin_counts_equal_those_that_torchvision_publishes(name):
    """Its operations are multiply-adds, and include the head, which the backbone lacks."""
    letter = name[0].upper()
    weights = torchvision.models.get_model_weights(f'swin_{letter.lower()}').IMAGENET1K_V1
    with torch.device('meta'):
        backbone = SwinGAB(**SWINS[name], gab_cfg=None, out_indices=(3,))
    channels = backbone.num_features[-1]
    assert count_parameters(backbone) + 1000 * (channels + 1) == weights.meta['num_params']
    multiply_adds = count_flops(backbone, (224, 224)) / 2 + 1000 * channels
    assert multiply_adds / 1e9 == pytest.approx(weights.meta['_ops'], abs=6e-4)


def test_flops_equal_those_of_timm_by_the_same_counter():
    with torch.device('meta'):
        backbone = SwinGAB(**SWINS['tiny'], gab_cfg=None, out_indices=(3,))
        peer = create_model('swin_tiny_patch4_window7_224', num_classes=0).eval()
    assert count_parameters(backbone) == count_parameters(peer) == 27_519_354
    assert count_flops(backbone, (224, 224)) == count_flops(peer, (224, 224))
    with torch.device('meta'):
        peer = create_model('vit_relpos_small_patch16_224').eval()
    facts = entries()['vit_s_imagenet']['Metadata']
    assert facts['Parameters'] == count_parameters(peer)
    assert facts['FLOPs'] == count_flops(peer, (224, 224)) - 2 * 384 * 1000


def test_meta_device_counts_as_the_cpu():
    """With images whose windows are padded."""
    small = dict(embed_dims=16, depths=(2, 2), num_heads=(2, 4), out_indices=(0, 1))
    with torch.device('meta'):
        on_meta = SwinGAB(**small)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        SwinGAB(**small)(torch.rand(1, 3, 61, 90))
    assert count_flops(on_meta, (61, 90)) == counter.get_total_flops() > 0


def test_gaussian_adds_two_parameters_a_layer_and_no_flops():
    blocks = {
        'Swin-T': 12, 'Swin-S': 24, 'Swin-B': 24, 'Swin-custom': 8,
        'ViT-S': 12, 'ViT-B': 12, 'ViT-custom': 6,
    }  # fmt: skip
    pairs = [name for name in entries() if '_gab_' in name]
    assert pairs
    for name in pairs:
        ours, baseline = (
            entries()[each]['Metadata'] for each in (name, name.replace('_gab_', '_'))
        )
        assert ours['FLOPs'] == baseline['FLOPs']
        assert ours['Parameters'] - baseline['Parameters'] == 2 * blocks[ours['Backbone']]
        assert 'Gaussian Attention Bias' in ours['Architecture']
        assert 'Gaussian Attention Bias' not in baseline['Architecture']


def test_model_is_built_without_memory():
    model = build_on_meta(load_config(str(ROOT / 'configs' / 'upernet_swin_b_ade20k.py')))
    assert all(tensor.is_meta for tensor in (*model.parameters(), *model.buffers()))


def test_regeneration_keeps_the_file():
    assert updated(METAFILE.read_text(), generated()) == METAFILE.read_text()


def test_regeneration_replaces_measured_fields_and_keeps_others():
    name = 'mask_rcnn_swin_s_gab_coco'
    index = yaml.safe_load(METAFILE.read_text())
    (entry,) = (entry for entry in index['Models'] if entry['Name'] == name)
    entry['Metadata'] |= {'Parameters': 1, 'Iterations': 2, 'Training Memory (GB)': 3}
    entry['Code'] = 'by hand'
    index['Models'].append({**entry, 'Name': 'config_that_was_removed'})
    found = yaml.safe_load(updated(yaml.dump(index), generated()))
    expected = copy.deepcopy(entries())
    expected[name]['Metadata']['Training Memory (GB)'] = 3
    expected[name]['Code'] = 'by hand'
    assert {entry['Name']: entry for entry in found['Models']} == expected
    assert found['Collections'] == index['Collections']


def test_new_config_gets_an_entry():
    index = yaml.safe_load(METAFILE.read_text())
    index['Models'] = index['Models'][1:]
    assert updated(yaml.dump(index), generated()).startswith(HEADER)
    found = yaml.safe_load(updated(yaml.dump(index), generated()))['Models']
    assert [entry['Name'] for entry in found] == list(entries())


@pytest.fixture
def outdated(tmp_path, monkeypatch):
    """Replace the metafile by an outdated copy; configs are not measured."""
    copied = tmp_path / 'metafile.yml'
    copied.write_text(METAFILE.read_text().replace('Parameters: 69112554', 'Parameters: 7'))
    facts = {each['Name']: each for each in generated()}
    monkeypatch.setattr(program, 'METAFILE', copied)
    monkeypatch.setattr(program, 'facts_of', lambda file: facts[file.stem])
    return copied


def test_check_reports_an_outdated_file_and_writes_nothing(outdated, capsys, monkeypatch):
    before = outdated.read_text()
    code, output = call('projects.metafile', ('--check',), capsys, monkeypatch)
    assert code
    assert 'is outdated. Run: python -m projects.metafile' in output
    assert outdated.read_text() == before


def test_program_updates_the_file(outdated, capsys, monkeypatch):
    assert call('projects.metafile', (), capsys, monkeypatch)[0] is None
    assert outdated.read_text() == METAFILE.read_text()
    code, output = call('projects.metafile', ('--check',), capsys, monkeypatch)
    assert code is None
    assert f'is up to date: {len(FILES)} configs' in output


def test_reported_scores_have_a_source_and_are_not_results():
    for entry in entries().values():
        assert 'Weights' not in entry
        is_gaussian = 'Gaussian Attention Bias' in entry['Metadata']['Architecture']
        for score in entry.get('Reported', []):
            assert score['Model'] == ('Gaussian' if is_gaussian else 'baseline')
            assert score['Source']
            assert score['Metrics']
        assert 'nuclei' in entry['Name'] or 'Results' not in entry


def test_scores_are_those_at_the_top_of_the_configs():
    """The config with the Gaussian has the scores of its baseline, too."""
    with_gaussian = {name.replace('_gab_', '_'): name for name in entries() if '_gab_' in name}
    for name, entry in entries().items():
        text = (ROOT / 'configs' / f'{with_gaussian.get(name, name)}.py').read_text()
        for score in [*entry.get('Reported', []), *entry.get('Results', [])]:
            for value in score['Metrics'].values():
                assert str(value) in text.split('"""')[1], f'{name}: {value}'


def test_mim_reads_the_index():
    modelindex = pytest.importorskip('modelindex')
    index = modelindex.load(str(ROOT / 'model-index.yml'))
    assert len(list(index.models)) == len(FILES)
    (model,) = (model for model in index.models if model.name == 'upernet_swin_gab_nuclei')
    assert model.results[0].metrics == {'mIoU': 0.905}


def test_zoo_page_lists_every_config_and_its_links_exist(tmp_path):
    write_zoo(tmp_path)
    text = (tmp_path / 'zoo.md').read_text()
    assert text.startswith('# Model zoo\n\nNo pretrained weights of our own are published')
    for file in FILES:
        assert text.count(f'| `{file.stem}` |') == 1
    for page in ('inference.md', 'train_detection.md', 'train_segmentation.md'):
        assert f']({page})' in text
        assert (ROOT / 'docs' / page).is_file()
    (row,) = (line for line in text.splitlines() if '`mask_rcnn_swin_t_coco`' in line)
    assert '| 47.8 M | 183.8 | 800 x 1280 | 36 epochs | 16 | box AP 46.0, mask AP 41.7 [' in row
