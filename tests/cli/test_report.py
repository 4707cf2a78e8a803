"""tools/analysis_tools/report.py on trained models, and its page in a real browser."""

import html
import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

from mmgab.engine import load_config
from mmgab.inspection import report_runs
from mmgab.inspection.report_config import NotDataError, read_config

from ..conftest import IS_ORIGINAL, ROOT, run_tool
from .runs import call

pytestmark = pytest.mark.process

TOOL = 'tools/analysis_tools/report.py'
CHROMIUM = shutil.which('chromium') or shutil.which('google-chrome')
# What a reader's eyes would check, written to where --dump-dom shows it.
MEASURE = """<script>
addEventListener('load', () => {
  const letters = [...document.querySelectorAll('svg text')].filter(t => t.textContent.trim());
  const scale = m => Math.hypot(m.c, m.d);  // of turned letters too
  const height = t => parseFloat(getComputedStyle(t).fontSize) * scale(t.getScreenCTM());
  document.body.dataset.found = JSON.stringify({
    window: innerWidth,
    page: document.documentElement.scrollWidth,
    missing: [...document.images].filter(i => !i.complete || !i.naturalWidth).length,
    images: document.images.length,
    curves: document.querySelectorAll('figure > svg').length,
    smallest: Math.min(...letters.map(height)),
    narrowest: Math.min(...[...document.images].map(
      i => i.getBoundingClientRect().width / Math.min(i.naturalWidth, 300))),
    ink: getComputedStyle(letters[0]).fill,
    paper: getComputedStyle(document.body).backgroundColor,
  });
});
</script>"""


@pytest.fixture(scope='module')
def work_dir(segmentor, tested_segmentor, nuclei, tmp_path_factory):
    """A segmentor's work dir, with its test and a picture."""
    folder = tmp_path_factory.mktemp('report') / 'nuclei <segmentor>'
    shutil.copytree(segmentor, folder)
    shutil.copytree(tested_segmentor, folder / 'test')
    shutil.copy(next((nuclei / 'images' / 'val').iterdir()), folder / 'tile.png')
    return folder


@pytest.fixture(scope='module')
def page(work_dir):
    out = work_dir.parent / 'report.html'
    run_tool(TOOL, work_dir, '-o', out, '--run-config', '--num', 2, '--size', 128, 128)
    return out.read_text()


def test_page_is_self_contained(page):
    addresses = re.findall(r'(?:src|href|url)\s*[=(]\s*["\']?([^"\'\s>)]+)', page)
    elsewhere = [a for a in addresses if not a.startswith(('#', 'data:'))]
    assert len(addresses) > 10
    assert elsewhere == []
    assert '<script' not in page


def test_page_has_settings_and_metrics(page, work_dir):
    assert '<h2>nuclei &lt;segmentor&gt;</h2>' in page
    results = json.loads((work_dir / 'test' / 'results.json').read_text())
    for name, value in results['metrics'].items():
        shown = re.search(rf'{name}</th><td class="number">([^<]+)</td>', page)[1]
        assert shown == 'no ground truth' if value < 0 else float(shown) == pytest.approx(value)
    for line in ('python tools/train.py configs/', 'python tools/test.py configs/'):
        assert line in page.replace(f'{ROOT}/', '')
    for name in ('PyTorch', 'MMEngine', 'its SHA-256'):
        assert f'>{name}</th>' in page
    for caption in (
        'Loss and its terms', 'Learning rate', 'Amplitude of the Gaussians',
        'Sigma of the Gaussians', 'Share of the bias in the scores',
        'Position bias over the offset of key from query: stages.0.blocks.0',
        'Receptive field of the central unit of the last feature map. At the start: r50 ',
    ):  # fmt: skip
        assert f'<figcaption>{caption}' in page
    assert 'not be measured' not in page


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason='needs a browser: apt-get install chromium')
@pytest.mark.parametrize(('width', 'theme'), [(400, 'light'), (1400, 'dark')])
def test_browser_renders_page(page, tmp_path, width, theme):
    file = tmp_path / 'page.html'
    file.write_text(page.replace('</body>', f'{MEASURE}</body>'))
    # A window cannot be as narrow as a phone, but a frame can.
    frame = tmp_path / 'frame.html'
    frame.write_text(
        f'<body><iframe src="page.html" style="border:0;width:{width}px;height:900px"></iframe>'
        "<script>addEventListener('load', () => setTimeout(() => document.body.dataset.found = "
        'frames[0].document.body.dataset.found, 300))</script></body>'
    )
    dark = ['--blink-settings=preferredColorScheme=0'] if theme == 'dark' else []
    done = subprocess.run(
        [CHROMIUM, '--headless', '--no-sandbox', '--disable-gpu', '--enable-logging=stderr',
         '--allow-file-access-from-files', '--window-size=1600,1000', '--virtual-time-budget=5000',
         f'--user-data-dir={tmp_path / "profile"}', *dark, '--dump-dom', frame.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert 'CONSOLE' not in done.stderr, done.stderr
    found = json.loads(html.unescape(re.search('data-found="([^"]+)"', done.stdout)[1]))
    assert found['window'] == width
    assert found['page'] <= width  # nothing sticks out
    assert found['missing'] == 0
    assert found['images'] == page.count('<img ')
    assert found['curves'] == page.count('<svg ') >= 6
    assert found['smallest'] >= 9  # pixels of the smallest letters of a curve
    assert found['narrowest'] >= 1  # of 300 pixels, or as wide as they are
    light = found['ink'] != 'rgb(28, 30, 33)'
    assert light == (theme == 'dark')
    assert (found['paper'] == 'rgb(21, 23, 26)') == (theme == 'dark')


def train_records(*iterations, loss):
    return [dict(iter=i, loss=loss, step=i) for i in iterations]


def find_runs(work_dir, starts):
    """Runs of a work dir with the given records of each start."""
    for number, records in enumerate(starts):
        file = work_dir / 'run' / f'2026010{number}_000000' / 'vis_data' / 'scalars.json'
        file.parent.mkdir(parents=True)
        file.write_text(''.join(json.dumps(record) + '\n' for record in records))
    return report_runs.find_runs(work_dir)


def test_resumed_run_is_one_curve(tmp_path, monkeypatch):
    first, second = train_records(1, 2, 3, 4, loss=1), train_records(3, 4, 5, loss=2)
    (run,) = find_runs(tmp_path, [first, second])
    with (run.starts[-1] / 'vis_data' / 'scalars.json').open('a') as torn:
        torn.write('{"iter": 6, "lo')
    assert [(r['iter'], r['loss']) for r in run.scalars] == [(1, 1), (2, 1), (3, 2), (4, 2), (5, 2)]


def test_run_from_scratch_in_same_folder_has_its_own_curve(tmp_path, monkeypatch):
    def monitor(step, value):
        return {'gab/layer/A': value, 'step': step}

    first = [monitor(0, 1), *train_records(9, 18, loss=1), dict(mAP=0.1, step=1)]
    second = [monitor(0, 2), *train_records(9, loss=2), dict(mAP=0.2, step=1)]
    stopped = [monitor(0, 3)]
    (run,) = find_runs(tmp_path, [first, second, stopped])
    assert run.scalars == second
    assert run.starts[-1].name == '20260101_000000'


def test_validation_is_plotted_at_its_iteration(tmp_path, monkeypatch):
    records = [*train_records(9, loss=1), dict(mIoU=1, step=1), *train_records(18, loss=1),
               dict(mIoU=2, step=2)]  # fmt: skip
    (run,) = find_runs(tmp_path, [records])
    from mmgab.inspection.report_figures import _validations

    assert [(r['iter'], r['mIoU']) for r in _validations(run.scalars)] == [(9, 1), (18, 2)]


@pytest.mark.parametrize(
    ('content', 'note'),
    [(None, 'has no checkpoint; position bias'), (b'torn', 'The last checkpoint cannot be read')],
)
def test_run_without_valid_checkpoint_has_page(
    detector, tmp_path, capsys, monkeypatch, content, note
):
    folder = tmp_path / 'run'
    shutil.copytree(detector, folder, ignore=shutil.ignore_patterns('*.pth'))
    if content:
        (folder / 'epoch_1.pth').write_bytes(content)
    code, output = call(TOOL, (folder, '-o', tmp_path / 'out.html'), capsys, monkeypatch)
    assert code == 0, output
    page = (tmp_path / 'out.html').read_text()
    assert note in page
    assert '<figcaption>Loss and its terms' in page


def edit_config(folder, change):
    file = max(folder.glob('2*')) / 'vis_data' / 'config.py'
    config = Config.fromfile(file)
    change(config)
    config.dump(file)


def without_training_settings(config):
    for name in ('train_dataloader', 'optim_wrapper', 'train_cfg'):
        config.pop(name)


def cut_off(file):
    file.write_bytes(file.read_bytes()[:400])


def remove_logs(folder):
    for file in [*folder.glob('2*/*.log'), *folder.glob('2*/vis_data/scalars.json')]:
        file.unlink()


def not_lines(folder):
    for file in folder.glob('2*/vis_data/scalars.json'):
        file.write_bytes(b'[1]\n3\n\xff\n' + file.read_bytes() + b'{"gab/x/A": 1}\n')


ALL_ELSE = {
    'settings': '<tr><th scope="row">model</th><td>EncoderDecoder</td>',
    'weights': ' million tensor elements</td>',
    'metrics': '<h3>Metrics of iter_3.pth',
    'pictures': '<figcaption>tile.png',
    'curves': '<figcaption>Loss and its terms',
    'gaussians': '<figcaption>Amplitude of the Gaussians',
    'tables': '<figcaption>Position bias over',
    'commands': 'tools/train.py configs/',
    'environment': '>PyTorch</th>',
    'config': 'type=&#39;EncoderDecoder&#39;',
}


DAMAGE = {
    'torn results': lambda run: cut_off(run / 'test' / 'results.json'),
    'nameless results': lambda run: (run / 'test' / 'results.json').write_text('{"metrics": {}}'),
    'torn picture': lambda run: cut_off(run / 'tile.png'),
    'no logs': remove_logs,
    'odd records': not_lines,
    'no settings': lambda run: edit_config(run, without_training_settings),
    'no model': lambda run: edit_config(run, lambda config: config.pop('model')),
    'odd note': lambda run: (run / 'last_checkpoint').write_bytes(b'\xff'),
}


@pytest.mark.parametrize(
    ('damage', 'missing', 'reasons'),
    [
        (
            ('torn results', 'torn picture', 'no settings'),
            ['metrics', 'pictures'],
            ['results.json cannot be read: JSONDecodeError', 'tile.png is not shown: ',
             '>optimizer</th><td>unknown: AttributeError'],
        ),
        (
            ('nameless results', 'odd records', 'no model'),
            ['settings', 'metrics', 'curves', 'gaussians', 'config'],
            ["results.json cannot be read: KeyError: 'checkpoint'", "No curves: KeyError: 'step'",
             '>model</th><td>unknown: AttributeError'],
        ),
        (
            ('no logs', 'odd note'),
            ['weights', 'curves', 'gaussians', 'tables', 'commands', 'environment'],
            ['No curves: [Errno 2]', 'last start is missing or does not contain it',
             'No weights: '],
        ),
    ],
    ids=lambda value: '-'.join(value) if isinstance(value, tuple) else '',
)  # fmt: skip
def test_failed_section_shows_reason(
    damage, missing, reasons, work_dir, tmp_path, capsys, monkeypatch
):
    run = tmp_path / 'run'
    shutil.copytree(work_dir, run)
    for name in damage:
        DAMAGE[name](run)
    code, output = call(TOOL, (run, '-o', tmp_path / 'out.html'), capsys, monkeypatch)
    assert code == 0, output
    page = (tmp_path / 'out.html').read_text()
    for reason in reasons:
        assert reason in html.unescape(page)
    assert [part for part, text in ALL_ELSE.items() if text not in page] == missing


def test_unbuildable_network_skips_receptive_fields(work_dir, tmp_path, capsys, monkeypatch):
    run = tmp_path / 'run'
    shutil.copytree(work_dir, run)

    def change(config):
        config.model.decode_head.type = 'NoSuchHead'

    edit_config(run, change)
    words = (run, '-o', tmp_path / 'out.html', '--run-config')
    code, output = call(TOOL, words, capsys, monkeypatch)
    assert code == 0, output
    page = (tmp_path / 'out.html').read_text()
    for when in ('at the start', 'after training'):
        assert f'The receptive field {when} could not be measured. KeyError: ' in page
    assert all(text in page for text in ALL_ELSE.values())


def test_page_without_matplotlib_lacks_only_figures(work_dir, tmp_path, capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, 'mmgab.inspection.report_figures', raising=False)
    monkeypatch.setitem(sys.modules, 'mmgab.analysis.plots', None)
    code, output = call(TOOL, (work_dir, '-o', tmp_path / 'out.html'), capsys, monkeypatch)
    assert code == 0, output
    page = (tmp_path / 'out.html').read_text()
    for lead in ('No curves', 'No Gaussians over time', 'No position bias'):
        assert f'{lead}: ModuleNotFoundError' in page
    drawn = ('curves', 'gaussians', 'tables')
    assert all(text in page for part, text in ALL_ELSE.items() if part not in drawn)


def test_failed_run_leaves_other_runs_on_page(work_dir, tmp_path, capsys, monkeypatch):
    shutil.copytree(work_dir, tmp_path / 'all' / 'good')
    shutil.copytree(work_dir, tmp_path / 'all' / 'bad')
    (max((tmp_path / 'all' / 'bad').glob('2*')) / 'vis_data' / 'config.py').write_text('import os')
    words = (tmp_path / 'all', '-o', tmp_path / 'out.html')
    code, output = call(TOOL, words, capsys, monkeypatch)
    assert code == 0, output
    page = (tmp_path / 'out.html').read_text()
    assert page.count('The config cannot be read: ') == 1
    assert page.count('<figcaption>Loss and its terms') == 2


@pytest.fixture
def hostile(segmentor, tmp_path):
    """Copies a run whose config makes a folder when it is run, or when its network is built."""

    def make(how):
        folder, made = tmp_path / 'run', tmp_path / 'made'
        shutil.copytree(segmentor, folder)
        file = max(folder.glob('2*')) / 'vis_data' / 'config.py'
        if how == 'run':
            file.write_text(f'__import__("os").mkdir({str(made)!r})\n{file.read_text()}')
        else:
            config = Config.fromfile(file)
            config.model.backbone = dict(type='os.mkdir', path=str(made))
            config.dump(file)
        return folder, made

    return make


@pytest.mark.parametrize('how', ['run', 'built'])
@pytest.mark.parametrize('asked', [False, True])
def test_config_code_runs_only_with_run_config(how, asked, hostile, tmp_path, capsys, monkeypatch):
    folder, made = hostile(how)
    words = (folder, '-o', tmp_path / 'out.html', *(['--run-config'] if asked else []))
    code, output = call(TOOL, words, capsys, monkeypatch)
    assert made.exists() == asked
    assert code == 0, output
    if asked:
        return
    page = (tmp_path / 'out.html').read_text()
    if how == 'run':
        for said in (output, html.unescape(page)):
            assert 'line 1 is not a literal: __import__(' in said
            assert '--run-config executes it' in said
    assert 'Receptive fields were not measured' in page
    assert '--run-config' in page
    assert '<figcaption>Position bias over the offset' in page


@pytest.mark.parametrize(
    'text',
    [
        'import os', 'from os import path', 'a = open("b")', 'a = dict(**b())', 'a = dict(b())',
        'a = {**b()}', 'a = [b for b in c]', 'a = f"{b()}"', 'a = lambda: 0', 'a = b[0]',
        'a = 1 + 1', 'a = not 1', 'a = b.c()', 'a = dict.fromkeys([1])', 'a.b = 1', 'a = b = 1',
        'a: b() = 1', 'a += 1', 'b()', '"text"', 'def a(): pass', 'class A: pass', 'del a',
        'if b(): a = 1', 'a = -"b"', 'a = {[]: 1}', 'a = {{}}', 'a = (b := 1)', 'a = await_(1)',
        'a =', 'a = 1\0', 'filename = "b"', 'a = ' + '[' * 3000, 'a = ' + '-' * 100_000 + '1',
        'a = ' + '[0],' * 300_000,
    ],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_config_with_code_raises(text, tmp_path):
    file = tmp_path / 'config.py'
    file.write_text(text)
    with pytest.raises(NotDataError, match=str(file)):
        read_config(file)


def test_dumped_config_reads_as_executed(tmp_path):
    file = tmp_path / 'config.py'
    for source in sorted(ROOT.glob('configs/*.py'))[::6]:
        load_config(str(source)).dump(file)
        assert read_config(file).to_dict() == Config.fromfile(file).to_dict(), source


def test_dump_with_all_kinds_of_literals_is_read(tmp_path):
    file = tmp_path / 'config.py'
    settings = dict(
        infinite=-math.inf, nothing=None, one=(1,), kinds={1, 'b'}, raw=b'b', empty={}, number=1e-5,
        keys={'a b': {'.c': [dict(type='D')]}},
    )  # fmt: skip
    Config(settings).dump(file)
    assert read_config(file).to_dict() == settings


def test_dump_with_classes_is_read_as_names(tmp_path):
    config = Config(dict(where=[dict(type=Path), int]))
    if IS_ORIGINAL:
        # MMEngine 0.10.7 writes "<class 'int'>", which no parser takes.
        with pytest.raises(SyntaxError, match='Failed to format'):
            config.dump(tmp_path / 'config.py')
        return
    config.dump(tmp_path / 'config.py')
    names = [dict(type='pathlib.Path'), 'int']
    assert read_config(tmp_path / 'config.py').to_dict() == dict(where=names)


def test_scores_have_one_unit(tmp_path):
    """MMDetection gives fractions, MMSegmentation gives percent; -1 is no score."""
    given = {
        'coco/bbox_mAP': 0.25, 'coco/segm_mAP_50': 1.0, 'coco/bbox_mAP_s': -1.0,
        'coco/AR@100': 0.5, 'lvis/bbox_APr': 0.125, 'pascal_voc/AP50': 0.75, 'mIoU': 0.5,
        'aAcc': 91.0, 'accuracy/top1': 0.5, 'loss': 0.5, 'coco_panoptic/PQ': 0.25,
    }  # fmt: skip
    percent = dict(given)
    percent.update({
        'coco/bbox_mAP': 25, 'coco/segm_mAP_50': 100, 'coco/AR@100': 50, 'lvis/bbox_APr': 12.5,
        'pascal_voc/AP50': 75,
    })  # fmt: skip
    assert report_runs.in_percent(given) == percent


def test_page_has_settings_of_test(page, work_dir):
    results = json.loads((work_dir / 'test' / 'results.json').read_text())
    assert f'<td>{results["checkpoint_sha256"]}</td>' in page
    assert f'torch {results["versions"]["torch"]}' in page
    assert '<th scope="row">--tta</th><td>no</td>' in page
    assert 'in percent' in page


def test_results_with_and_without_tta_are_both_shown(tmp_path):
    (run,) = find_runs(tmp_path, [train_records(1, loss=1)])
    result = dict(checkpoint='a.pth', metrics=dict(mIoU=50), show_dir='shown')
    other = dict(result, tta=True, metrics=dict(mIoU=60), show_dir='../../outside')
    (run.folder / 'results.json').write_text(json.dumps(result))
    (run.folder / 'results_tta.json').write_text(json.dumps(other))
    for folder in (run.folder / 'shown', tmp_path.parent / 'outside'):
        folder.mkdir(exist_ok=True)
        (folder / 'one.png').touch()
    assert run.metrics == {'a.pth': dict(mIoU=50), 'a.pth, --tta': dict(mIoU=60)}
    assert run.pictures == [run.folder / 'shown' / 'one.png']


@pytest.mark.parametrize(
    ('folder', 'complaint'),
    [('nowhere', 'nowhere is not a folder'), ('.', 'no training run found')],
)
def test_folder_without_run_raises(folder, complaint, tmp_path, capsys, monkeypatch):
    words = (tmp_path / folder, '-o', tmp_path / 'out.html')
    code, output = call(TOOL, words, capsys, monkeypatch)
    assert code == 2
    assert 'error: ' in output
    assert complaint in output
    assert not (tmp_path / 'out.html').exists()
