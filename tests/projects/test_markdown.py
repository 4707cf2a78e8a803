"""Markdown tables, which need as many columns in their second line as in their first."""

from projects.markdown import markdown_table


def test_table_has_a_line_of_as_many_dashes_as_columns():
    assert markdown_table(('a', 'b'), [('1', ''), ('2', '3')]) == (
        '| a | b |\n| --- | --- |\n| 1 |  |\n| 2 | 3 |\n'
    )
