"""Short runs of the nuclei configs with the command-line tools."""

from importlib import import_module

from ..conftest import run_tool

# Small and short: these runs only test that the tools work; `make demo` checks the metrics.
TINY = [
    'model.backbone.embed_dims=16',
    'model.backbone.num_heads=(1,2,4,8)',
    'model.backbone.depths=(1,1,1,1)',
    'default_hooks.logger.interval=1',
]
DETECTION = [*TINY, 'model.neck.in_channels=[16,32,64,128]', 'train_dataloader.dataset.indices=8']
SEGMENTATION = [
    *TINY, 'model.decode_head.in_channels=(16,32,64,128)', 'model.auxiliary_head.in_channels=64',
]  # fmt: skip


def options(nuclei, settings, *more):
    """Return command-line overrides: a small model, and the data of the fixture."""
    roots = [
        f'{loader}.dataset.data_root={nuclei}' for loader in ('train_dataloader', 'val_dataloader')
    ]
    roots += [f'test_dataloader.dataset.data_root={nuclei}']
    annotations = f'{nuclei}/annotations/instances_val.json'
    if settings is DETECTION:
        roots += [f'{e}_evaluator.ann_file={annotations}' for e in ('val', 'test')]
    return ['--cfg-options', *settings, *roots, *more]


def train(work_dir, name, nuclei, settings, *more):
    """Train a nuclei config in a subprocess; returns the work dir."""
    run_tool(
        'tools/train.py', f'configs/{name}.py', '--work-dir', work_dir,
        *options(nuclei, settings, *more),
    )  # fmt: skip
    return work_dir


def call(tool, words, capsys, monkeypatch):
    """Run a tool or a project's module in this process; returns exit code and output."""
    monkeypatch.setattr('sys.argv', [tool, *map(str, words)])
    is_tool = tool.endswith('.py')
    name = tool.removesuffix('.py').replace('/', '.') if is_tool else f'{tool}.__main__'
    try:
        code = import_module(name).main()
    except SystemExit as exit:
        code = exit.code
    captured = capsys.readouterr()
    return code, captured.out + captured.err + (code if isinstance(code, str) else '')
