"""Say whether this installation can train, and what to do if not.

    mmgab doctor [--work-dir FOLDER] [--json]

Exits with 1 where anything fails. Notes are for what only some users need.
"""

from mmgab.doctor.__main__ import add_arguments, run

__all__ = ['add_arguments', 'run']
