"""For OpenMMLab's own tools: has MMEngine find ``mmgab::`` and ``mmseg::`` bases named after it.

    _base_ = ['PATH/TO/configs/_base_/package_bases.py', 'mmseg::_base_/models/upernet_swin.py']

The tools of this project find them without it.
"""

__import__('mmgab.engine.package_bases')
