"""One page about a training: what was trained, curves, metrics, predictions, where it looks.

    python tools/analysis_tools/report.py work_dirs/mask_rcnn_swin_gab_nuclei -o report.html
    python tools/analysis_tools/report.py work_dirs/demo -o work_dirs/demo/report.html

WORK_DIR is that of a run, or a folder of several. The page holds everything and needs no network:
it can be mailed, printed, and read on a phone. Pictures are those that lie in the work dir, as
tools/test.py --show-dir leaves them.

Nothing in the work dir is run: the config there is read as data, the checkpoint as numbers. With
--run-config the config is run, and receptive fields are measured, on a few images of the validation
set: that builds the network and the data set, with whatever the config names.
"""

import argparse
import datetime
import sys
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from mmengine.config import Config
from report_config import read_config
from report_figures import Figure, curves, gaussians, picture, receptive_fields, tables
from report_runs import Run, find_runs
from tqdm import tqdm

from mmgab.checkpoints import read_checkpoint
from mmgab.checkpoints.contents import unwrap
from mmgab.checkpoints.download import file_sha256

MAX_PICTURES = 8  # of one run; a validation set has thousands


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('work_dir', type=Path, help='of a run, or a folder of several')
    parser.add_argument('-o', '--out', type=Path, required=True, help='HTML file to write')
    parser.add_argument(
        '--run-config',
        action='store_true',
        help="run the work dir's config, with your rights, and measure receptive fields",
    )
    parser.add_argument(
        '--images',
        default='val',
        help="to measure receptive fields with: a folder, 'val' for the config's own (that is what "
        "it does by default), 'noise', or 'none' for no fields",
    )
    parser.add_argument('--num', type=int, default=8, help='how many of them; 8')
    parser.add_argument('--seed', type=int, default=0, help='of the draw, and of random weights')
    parser.add_argument(
        '--size',
        nargs=2,
        type=int,
        metavar=('HEIGHT', 'WIDTH'),
        default=(256, 256),
        help='of these images, in pixels; 256 256',
    )
    return parser.parse_args()


def settings(run: Run) -> dict[str, str]:
    """What was trained, in a few lines."""
    config = run.config
    loader = config.train_dataloader
    return {
        'model': config.model.type,
        'backbone': _call(config.model.backbone, ('embed_dims', 'depths', 'num_heads',
                                                  'window_size', 'gab_cfg')),
        'data': _call(loader.dataset, ('data_root',)),
        'batch': f'{loader.batch_size} images a process',
        'optimizer': _call(config.optim_wrapper.optimizer, ('lr', 'weight_decay')),
        'schedule': _call(config.train_cfg, ('max_epochs', 'max_iters')),
        'seed': str(config.get('randomness', {}).get('seed', 'none')),
    }  # fmt: skip


def _call(config: Config, names: tuple[str, ...]) -> str:
    """A type and the most telling of its arguments."""
    given = ', '.join(f'{name}={config[name]}' for name in names if name in config)
    kind = config.get('type', '')
    return f'{kind}({given})' if isinstance(kind, str) else f'{kind.__name__}({given})'


def trained_weights(run: Run, args: argparse.Namespace) -> tuple[dict, list[Figure], list[str]]:
    """What is known of the last checkpoint: facts, figures, and what could not be said of it."""
    path, notes = run.checkpoint, []
    if path is None:
        return {}, [], ['There is no checkpoint: no position bias, no receptive fields.']
    try:
        tensors, _ = unwrap(read_checkpoint(str(path)), str(path))
    except (ValueError, OSError) as error:
        return {}, [], [f'The last checkpoint cannot be read: {error}']
    facts = {
        'checkpoint': f'{path.name}, {sum(t.numel() for t in tensors.values()) / 1e6:.1f} '
        'million numbers',
        'its SHA-256': file_sha256(str(path)),
    }
    figures = []
    try:
        figures += tables(path)
    except ValueError as error:
        notes.append(f'No position bias: {error}')
    if args.run_config and args.images != 'none':
        figures += receptive_fields(run, args, notes.append)
    elif args.images != 'none':
        notes.append(
            'Receptive fields were not measured: that runs what the config of the work dir names. '
            '--run-config allows it.'
        )
    return facts, figures, notes


def pictures_of(paths: list[Path], notes: list[str]) -> list[Figure]:
    """Pictures, as far as they can be read."""
    figures = []
    for path in paths[:MAX_PICTURES]:
        try:
            figures.append(picture(path, path.name))
        except OSError as error:
            notes.append(f'{path.name} is not shown: {error}')
    if len(paths) > MAX_PICTURES:
        notes.append(f'{MAX_PICTURES} of {len(paths)} pictures are shown.')
    return figures


def sections(run: Run, args: argparse.Namespace) -> dict:
    """Everything that the page says about a run."""
    facts, trained, notes = trained_weights(run, args)
    monitored = gaussians(run)
    if not monitored:
        notes.append(
            'Amplitudes and sigmas over time are not known: mmgab.GABMonitorHook was not in '
            'custom_hooks, or there is no Gaussian.'
        )
    return dict(
        name=run.folder.resolve().name,
        settings=settings(run) | facts,
        metrics=run.metrics,
        curves=curves(run),
        monitored=monitored,
        trained=trained,
        pictures=pictures_of(run.pictures, notes),
        notes=notes,
        commands=run.commands,
        environment=run.environment,
        config=run.config.pretty_text,
    )


def readable(value: float) -> str:
    """A metric in a table; MMDetection's -1 means that there was nothing to measure."""
    return 'no such objects' if value < 0 else f'{value:.4g}'


def page(work_dir: Path, runs: list[Run], args: argparse.Namespace) -> str:
    """The page's HTML."""
    overview: list[Figure] = []
    notes: list[str] = []
    if runs[0].folder != work_dir:
        overview = pictures_of(sorted(work_dir.glob('*.png')), notes)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= dict(markup=Markup, readable=readable)
    return environment.get_template('report.html.j2').render(
        title=work_dir.resolve().name,
        when=datetime.datetime.now().astimezone().strftime('%Y-%m-%d %H:%M %Z'),
        overview=overview,
        notes=notes,
        runs=[sections(run, args) for run in tqdm(runs, 'report', unit='run')],
    )


def main() -> None:
    """Write the page, or say in a sentence why not."""
    args = parse_args()
    if args.out.is_dir():
        sys.exit(f'error: --out: {args.out} is a folder')
    try:
        read = Config.fromfile if args.run_config else read_config
        html = page(args.work_dir, find_runs(args.work_dir, read), args)
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(html)
    except (ValueError, OSError) as error:
        sys.exit(f'error: {error}')
    print(f'Written to {args.out}: {len(html) / 2**20:.1f} MiB')


if __name__ == '__main__':
    main()
