"""Computing in the order of version 0.1.0, whose bits the tests compare.

Since then, CPUs have operators of their own, which round sums in another order: attention in chunks
of windows, linear layers through oneDNN, patches in the layout of tokens.

Run as a script, this is tools/train.py.
"""

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]


def compute_as_0_1_0(set_attribute: Callable[[object, str, object], None]) -> None:
    """Turn off what rounds in another order; takes ``setattr`` or that of ``monkeypatch``."""
    from mmgab.functional import windows
    from mmgab.layers import onednn_linear, patch_embedding

    set_attribute(windows, '_CHUNK_BYTES', 0)
    set_attribute(onednn_linear, '_OPERATOR', None)
    set_attribute(patch_embedding, 'is_exporting', lambda: True)


if __name__ == '__main__':
    sys.path.insert(0, str(ROOT))
    compute_as_0_1_0(setattr)
    runpy.run_path(str(ROOT / 'tools' / 'train.py'), run_name='__main__')
