"""Markdown tables."""

from projects.markdown import markdown_table


def test_table_separator_has_one_cell_per_column():
    assert markdown_table(('a', 'b'), [('1', ''), ('2', '3')]) == (
        '| a | b |\n| --- | --- |\n| 1 |  |\n| 2 | 3 |\n'
    )
