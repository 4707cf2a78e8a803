"""Files that are written under another name: the former one stays until the new one is complete."""

import numpy as np
import pytest

from mmgab.analysis.erf import ContributionSums, Erf, save_erf
from mmgab.analysis.erf.units import centre
from mmgab.analysis.plots.figures import plt, save
from mmgab.atomic_file import replacing, write_text
from projects.study.results_table import write_results


def fail(*args, **kwargs):
    raise OSError('the disk is full')


def write_an_erf(path, monkeypatch):
    monkeypatch.setattr(np, 'savez_compressed', fail)
    sums = ContributionSums.empty((8, 8))
    sums.add(np.ones((8, 8)))
    save_erf(Erf('gab2023', (8, 8), (2, 2), centre((2, 2)), [sums]), path, {})


def write_a_figure(path, monkeypatch):
    figure = plt.figure()
    monkeypatch.setattr(figure, 'savefig', fail)
    save(figure, path)


def write_a_table(path, monkeypatch):
    monkeypatch.setattr('projects.study.results_table.csv.DictWriter.writerows', fail)
    write_results(path, [])


def write_a_text(path, monkeypatch):
    write_text(path, 'half of it \udce9')  # of a file name that is not UTF-8


@pytest.mark.parametrize('write', [write_an_erf, write_a_figure, write_a_table, write_a_text])
def test_failed_write_leaves_the_file_unchanged(write, tmp_path, monkeypatch):
    path = tmp_path / 'results.npz'
    path.write_text('former')
    with pytest.raises((OSError, UnicodeEncodeError)):
        write(path, monkeypatch)
    assert path.read_text() == 'former'
    assert list(tmp_path.iterdir()) == [path]


def test_file_is_complete_when_renamed(tmp_path):
    path = tmp_path / 'new' / 'folder' / 'results.json'
    with replacing(path) as temporary:
        temporary.write_text('all of it')
        assert not path.exists()
        assert temporary.suffix == path.suffix
    assert path.read_text() == 'all of it'
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(('name', 'written'), [('map', 'map.png'), ('map.pdf', 'map.pdf')])
def test_figure_is_complete_and_alone_in_its_folder(name, written, tmp_path):
    save(plt.figure(figsize=(1, 1)), tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [written]
    assert (tmp_path / written).read_bytes()[1:4] in (b'PNG', b'PDF')


def test_text_is_written_as_utf_8(tmp_path):
    write_text(tmp_path / 'a.txt', 'R² \udce9', errors='backslashreplace')
    assert (tmp_path / 'a.txt').read_bytes() == b'R\xc2\xb2 \\udce9'
