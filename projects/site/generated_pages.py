"""Pages that are generated: help of the commands, API reference, the notebook."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbconvert import MarkdownExporter
from nbconvert.preprocessors import CoalesceStreamsPreprocessor

from mmgab.atomic_file import replacing, write_text
from mmgab.cli.commands import COMMANDS

from .sources import ROOT

NOTEBOOK = ROOT / 'docs' / 'quick_start.ipynb'
# Objects of each page of the API reference.
REFERENCE = {
    'models': (
        'Backbones and modules',
        [
            'mmgab.models.swin_gab.SwinGAB',
            'mmgab.models.vit_gab.ViTGAB',
            'mmgab.models.simple_feature_pyramid.SimpleFeaturePyramid',
            'mmgab.models.patch_diversity_loss.PatchDiversityLoss',
            'mmgab.models.timm_gaussian',
            'mmgab.layers.gaussian_bias.GaussianBias',
            'mmgab.layers.window_attention',
            'mmgab.layers.grid_attention',
            'mmgab.layers.methods',
            'mmgab.functional',
        ],
    ),
    'checkpoints': (
        'Checkpoints',
        [
            'mmgab.checkpoints.loading.load',
            'mmgab.checkpoints.folding.fold',
            'mmgab.checkpoints.folding.unfold',
            'mmgab.checkpoints.files',
            'mmgab.checkpoints.matching.LoadReport',
            'mmgab.checkpoints.stock.as_stock_state_dict',
            'mmgab.checkpoints.target_layouts.export',
        ],
    ),
    'running': (
        'Hooks and runner',
        [
            'mmgab.hooks.atomic_checkpoint_hook.AtomicCheckpointHook',
            'mmgab.hooks.numerics_guard_hook.NumericsGuardHook',
            'mmgab.hooks.label_range_hook.LabelRangeHook',
            'mmgab.hooks.unreadable_images_hook.UnreadableImagesHook',
            'mmgab.hooks.gab_monitor_hook.GABMonitorHook',
            'mmgab.hooks.image_shapes_hook.ImageShapesHook',
            'mmgab.hooks.patch_diversity_hook.PatchDiversityHook',
            'mmgab.engine.runner.CheckedRunner',
            'mmgab.engine.config.load_config',
            'mmgab.datasets.load_image.LoadImage',
            'mmgab.datasets.load_segmentation.LoadSegmentation',
        ],
    ),
    'analysis': (
        'Analysis',
        ['mmgab.analysis.erf', 'mmgab.analysis.attention_maps', 'mmgab.analysis.cost'],
    ),
    'inference': (
        'Inference and deployment',
        ['mmgab.prediction.predictor', 'mmgab.prediction.inputs', 'mmgab.deployment.onnx_graph'],
    ),
}


def write_commands(out: Path) -> None:
    """Write the page of all commands: their ``--help``, as this version prints it."""
    lines = ['# Commands', '', *_help('mmgab'), '']
    for name in COMMANDS:
        lines += [f'## mmgab {name}', '', *_help('mmgab', name), '']
    write_text(out / 'commands.md', '\n'.join(lines))


def _help(*words: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-m', *words, '--help'],
        cwd=ROOT,
        env={**os.environ, 'COLUMNS': '100'},
        capture_output=True,
        text=True,
        check=True,
    )
    return ['```text', done.stdout.rstrip(), '```']


def write_reference(out: Path) -> None:
    """Write the pages of the API reference, which mkdocstrings fills from the docstrings."""
    for page, (title, names) in REFERENCE.items():
        lines = [f'# {title}', '', *(f'::: {name}\n' for name in names)]
        write_text(out / f'{page}.md', '\n'.join(lines))


def write_notebook(out: Path, data: Path) -> None:
    """Execute the notebook and write it as a page with its figures.

    Args:
        out: Folder of the website's sources.
        data: Folder to execute it in.

    Raises:
        nbclient.exceptions.CellExecutionError: If a cell fails.
    """
    # Its commands are those of the environment that runs this.
    os.environ['PATH'] = f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=600, resources=dict(metadata=dict(path=str(data)))).execute()
    notebook, _ = CoalesceStreamsPreprocessor().preprocess(notebook, {})
    text, resources = MarkdownExporter().from_notebook_node(notebook)
    for name, content in resources['outputs'].items():
        with replacing(out / name) as temporary:
            temporary.write_bytes(content)
    write_text(out / 'quick_start.md', text)
