"""Commands that install missing packages in compatible versions."""

# Versions that mmcv is built with (requirements/build.txt). Newer torch needs C++20, but mmcv does
# not pass -std=c++20 to the compiler.
TORCH, TORCHVISION = '2.9.1', '0.24.1'
FIRST_TOO_NEW_TORCH = (2, 14)
# Both release lines of OpenMMLab have the same import names and differ in the package names.
ONEDL = {
    'mmengine': 'onedl-mmengine',
    'mmcv': 'onedl-mmcv',
    'mmdet': 'onedl-mmdetection',
    'mmseg': 'onedl-mmsegmentation',
}
TESTED = {
    'onedl-mmengine': '0.10.12',
    'onedl-mmcv': '2.3.6',
    'onedl-mmdetection': '3.5.1',
    'onedl-mmsegmentation': '1.4.2',
    'mmengine': '0.10.7',
    'mmcv': '2.1.0',
    'mmdet': '3.3.0',
    'mmsegmentation': '1.2.2',
}
# Package names of modules with another import name.
_DISTRIBUTIONS = {
    'cv2': 'opencv-python-headless',
    'mmpretrain': 'onedl-mmpretrain',
    'PIL': 'pillow',
    'pkg_resources': "'setuptools<82'",
    'yaml': 'pyyaml',
}


def install_command(module: str) -> str:
    """Return the command that installs the package of a module; building mmcv takes minutes."""
    name = module.partition('.')[0]
    if name in ('torch', 'torchvision'):
        return (
            f'pip install torch=={TORCH} torchvision=={TORCHVISION}, then install mmcv, which '
            'compiles against torch and does not support torch >= '
            f'{".".join(map(str, FIRST_TOO_NEW_TORCH))}'
        )
    if name in ONEDL:
        package = ONEDL[name]
        return f'pip install --no-build-isolation {package}=={TESTED[package]} (after torch)'
    return f'pip install {_DISTRIBUTIONS.get(name, name)}'
