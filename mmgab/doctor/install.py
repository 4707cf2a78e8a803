"""Commands that install what is missing, in versions that work together."""

# requirements/build.txt: what mmcv is built with. Newer torch needs C++20, which mmcv does not ask
# its compiler for.
TORCH, TORCHVISION = '2.9.1', '0.24.1'
FIRST_TOO_NEW_TORCH = (2, 14)
# Both lines of OpenMMLab have the same import names: which is installed, only packages tell.
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
# Distributions whose names are not those that are imported.
_DISTRIBUTIONS = {
    'cv2': 'opencv-python-headless',
    'mmpretrain': 'onedl-mmpretrain',
    'PIL': 'pillow',
    'pkg_resources': "'setuptools<82'",
    'yaml': 'pyyaml',
}


def install_command(module: str) -> str:
    """The command that installs what a module comes with; mmcv is built, which takes minutes."""
    name = module.partition('.')[0]
    if name in ('torch', 'torchvision'):
        return (
            f'pip install torch=={TORCH} torchvision=={TORCHVISION}, before mmcv, which is built '
            f'with it and cannot be built with torch {".".join(map(str, FIRST_TOO_NEW_TORCH))} '
            'and newer'
        )
    if name in ONEDL:
        package = ONEDL[name]
        return f'pip install --no-build-isolation {package}=={TESTED[package]}, after torch'
    return f'pip install {_DISTRIBUTIONS.get(name, name)}'
