"""tools/analysis_tools/report.py on trained models, and its page in a real browser."""

import html
import json
import re
import shutil
import subprocess

import pytest
import report_runs

from ..conftest import ROOT, run_tool
from .runs import call

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
    run_tool(TOOL, work_dir, '-o', out, '--num', 2, '--size', 128, 128)
    return out.read_text()


def test_the_page_needs_nothing_but_itself(page):
    addresses = re.findall(r'(?:src|href|url)\s*[=(]\s*["\']?([^"\'\s>)]+)', page)
    elsewhere = [a for a in addresses if not a.startswith(('#', 'data:'))]
    assert len(addresses) > 10
    assert elsewhere == []
    assert '<script' not in page


def test_the_page_says_what_was_trained_and_how_it_did(page, work_dir):
    assert '<h2>nuclei &lt;segmentor&gt;</h2>' in page
    results = json.loads((work_dir / 'test' / 'results.json').read_text())
    for name, value in results['metrics'].items():
        shown = re.search(rf'{name}</th><td class="number">([^<]+)</td>', page)[1]
        assert shown == 'no such objects' if value < 0 else float(shown) == pytest.approx(value)
    for line in ('python tools/train.py configs/', 'python tools/test.py configs/'):
        assert line in page.replace(f'{ROOT}/', '')
    for name in ('PyTorch', 'MMEngine', 'its SHA-256'):
        assert f'>{name}</th>' in page
    for caption in (
        'Loss and its terms', 'Learning rate', 'Amplitude of the Gaussians', 'Their width',
        'Share of the bias in the scores',
        'Position bias over the offset of key from query: stages.0.blocks.0',
        'What the centre of the last map answers to; at the start: half of it within',
    ):  # fmt: skip
        assert f'<figcaption>{caption}' in page
    assert 'was not measured' not in page


@pytest.mark.skipif(CHROMIUM is None, reason='needs a browser: apt-get install chromium')
@pytest.mark.parametrize(('width', 'theme'), [(400, 'light'), (1400, 'dark')])
def test_a_browser_shows_all_of_it(page, tmp_path, width, theme):
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


def test_a_resumed_run_is_one_curve(tmp_path, monkeypatch):
    first, second = train_records(1, 2, 3, 4, loss=1), train_records(3, 4, 5, loss=2)
    (run,) = find_runs(tmp_path, [first, second])
    with (run.starts[-1] / 'vis_data' / 'scalars.json').open('a') as torn:
        torn.write('{"iter": 6, "lo')
    assert [(r['iter'], r['loss']) for r in run.scalars] == [(1, 1), (2, 1), (3, 2), (4, 2), (5, 2)]


def test_a_run_from_scratch_in_the_same_folder_is_alone(tmp_path, monkeypatch):
    def monitor(step, value):
        return {'gab/layer/A': value, 'step': step}

    first = [monitor(0, 1), *train_records(9, 18, loss=1), dict(mAP=0.1, step=1)]
    second = [monitor(0, 2), *train_records(9, loss=2), dict(mAP=0.2, step=1)]
    stopped = [monitor(0, 3)]
    (run,) = find_runs(tmp_path, [first, second, stopped])
    assert run.scalars == second
    assert run.starts[-1].name == '20260101_000000'


def test_a_validation_stands_at_the_iteration_that_it_followed(tmp_path, monkeypatch):
    records = [*train_records(9, loss=1), dict(mIoU=1, step=1), *train_records(18, loss=1),
               dict(mIoU=2, step=2)]  # fmt: skip
    (run,) = find_runs(tmp_path, [records])
    from report_figures import _validations

    assert [(r['iter'], r['mIoU']) for r in _validations(run.scalars)] == [(9, 1), (18, 2)]


@pytest.mark.parametrize(
    ('content', 'note'),
    [(None, 'There is no checkpoint'), (b'torn', 'The last checkpoint cannot be read')],
)
def test_a_run_without_a_sound_checkpoint_has_a_page(
    detector, tmp_path, capsys, monkeypatch, content, note
):
    folder = tmp_path / 'run'
    shutil.copytree(detector, folder, ignore=shutil.ignore_patterns('*.pth'))
    if content:
        (folder / 'epoch_1.pth').write_bytes(content)
    code, output = call(TOOL, (folder, '-o', tmp_path / 'out.html'), capsys, monkeypatch)
    assert code is None, output
    page = (tmp_path / 'out.html').read_text()
    assert note in page
    assert '<figcaption>Loss and its terms' in page


@pytest.mark.parametrize(
    ('folder', 'complaint'),
    [('nowhere', 'nowhere is no folder'), ('.', 'nothing was trained here')],
)
def test_a_folder_without_a_run_is_refused(folder, complaint, tmp_path, capsys, monkeypatch):
    words = (tmp_path / folder, '-o', tmp_path / 'out.html')
    code, output = call(TOOL, words, capsys, monkeypatch)
    assert code.startswith('error: ')
    assert complaint in output
    assert not (tmp_path / 'out.html').exists()
