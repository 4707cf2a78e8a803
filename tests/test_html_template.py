"""Pages that are made from a template, whatever is put into them."""

import pytest
from jinja2 import UndefinedError

from mmgab.html_template import render


def test_text_is_escaped_and_statements_leave_no_lines(tmp_path):
    template = tmp_path / 'page.html.j2'
    template.write_text('<ul>\n  {% for one in names %}\n<li>{{ one }}</li>\n  {% endfor %}\n</ul>')
    assert render(template, names=['<b>']) == '<ul>\n<li>&lt;b&gt;</li>\n</ul>'


def test_variable_that_is_not_given_is_an_error(tmp_path):
    template = tmp_path / 'page.html.j2'
    template.write_text('{{ title }}')
    with pytest.raises(UndefinedError, match='title'):
        render(template)
