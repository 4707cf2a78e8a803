"""A copy of the repository with small data, small networks and a value for each placeholder.

The configs keep their names: each becomes a small version of itself, which inherits the original.
What the pages call CONFIG, CHECKPOINT, FOLDER, ... is made by the tools that a user would take.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import mmdet
import numpy as np
import torch
from mmdet.datasets import CocoDataset
from PIL import Image

from mmgab import SwinGAB

from ..conftest import ROOT

MMDET = Path(mmdet.__file__).parent
COPIED = ('configs', 'docs', 'mmgab', 'projects', 'tools', 'requirements', 'Makefile')
SIZES = dict(embed_dims=16, depths=(1, 1, 1, 1), num_heads=(1, 2, 4, 8))
SWIN = dict(**SIZES, init_cfg=None)
PRETRAINED = dict(**SIZES, init_cfg=dict(type='Pretrained', checkpoint='pretrained.pth'))
VIT = dict(embed_dims=32, depth=2, num_heads=2, out_indices=(1,), init_cfg=None)
CHANNELS = [16, 32, 64, 128]
DETECTOR = dict(backbone=SWIN, neck=dict(in_channels=CHANNELS))
SEGMENTOR = dict(
    backbone=SWIN,
    decode_head=dict(in_channels=CHANNELS, channels=16),
    auxiliary_head=dict(in_channels=64, channels=16),
)
CLASSIFIER = dict(
    backbone=VIT, neck=dict(in_channels=32, init_cfg=None), head=dict(in_channels=32)
)  # fmt: skip
NO_WORKERS = dict(num_workers=0, persistent_workers=False)
LOADERS = {f'{split}_dataloader': NO_WORKERS for split in ('train', 'val', 'test')}
SIXTEEN = {name: dict(**loader, dataset=dict(indices=16)) for name, loader in LOADERS.items()}
FEW = dict(train_dataloader=dict(batch_size=4, dataset=dict(indices=4), **NO_WORKERS))
ITERATIONS = dict(
    train_cfg=dict(max_iters=2, val_interval=2), default_hooks=dict(checkpoint=dict(interval=2))
)  # fmt: skip
EPOCH = dict(train_cfg=dict(max_epochs=1, val_interval=1))
CONSTANT = dict(param_scheduler=[dict(type='ConstantLR', factor=1.0)])  # no warm-up of 20 epochs
SMALL = {
    'mask_rcnn_swin_gab_nuclei': dict(model=DETECTOR, **FEW),
    'mask_rcnn_swin_nuclei': dict(model=DETECTOR, **FEW),
    'upernet_swin_gab_nuclei': dict(model=SEGMENTOR, **ITERATIONS),
    'mask_rcnn_swin_s_gab_coco': dict(
        model=DETECTOR | dict(backbone=PRETRAINED), **LOADERS, **EPOCH
    ),
    'upernet_swin_s_gab_ade20k': dict(model=SEGMENTOR, **LOADERS, **ITERATIONS),
    'vit_s_gab_imagenet': dict(model=CLASSIFIER, **SIXTEEN, **EPOCH, **CONSTANT),
    'vit_s_gab_pets': dict(model=CLASSIFIER, **LOADERS, **EPOCH, **CONSTANT),
}
# In pure Python; appended to the file.
SMALL_IN_PYTHON = """
model['backbone'].update(embed_dims=16, depths=(1, 1, 1, 1), num_heads=(1, 2, 4, 8))
model['neck'].update(in_channels=[16, 32, 64, 128])
train_dataloader['dataset'].update(indices=4)
"""

STOCK_CONFIG = """
_base_ = './configs/mask_rcnn_swin_nuclei.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='SwinTransformer',
        embed_dims=16,
        depths=(1, 1, 1, 1),
        num_heads=(1, 2, 4, 8),
    )
)
"""


class Sandbox:
    """The folder in which the commands of the pages run.

    Attributes:
        folder: Root of the copy of the repository.
        words: Placeholders of the pages and what stands for them.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        for name in COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            options = dict(symlinks=True) if copy is shutil.copytree else {}
            copy(ROOT / name, folder / name, **options)
        for name, settings in SMALL.items():
            self.shrink(name, settings)
        config = folder / 'configs' / 'pure_python' / 'mask_rcnn_swin_gab_nuclei.py'
        config.write_text(config.read_text() + SMALL_IN_PYTHON)
        torch.save(SwinGAB(**SIZES).state_dict(), folder / 'pretrained.pth')
        self.make_data()
        self.make_runs()

    def shrink(self, name, settings):
        config = self.folder / 'configs' / f'{name}.py'
        config.rename(config.with_name(f'original_{name}.py'))
        text = [f"_base_ = './original_{name}.py'"]
        text += [f'{key} = {value!r}' for key, value in settings.items()]
        config.write_text('\n'.join(text) + '\n')

    def run(self, *words):
        """Run a command from the sandbox's root; returns its output.

        Raises:
            AssertionError: With the output, if the command fails.
        """
        env = {
            **os.environ,
            'PATH': f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}',
            'PYTHONPATH': str(self.folder),
            'PYTHONWARNINGS': 'ignore',
        }
        done = subprocess.run(
            list(map(str, words)), cwd=self.folder, env=env, text=True, timeout=900,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == 0, f'{" ".join(map(str, words))}:\n{done.stdout[-5000:]}'
        return done.stdout

    def fill(self, words):
        """Put files of the sandbox in the place of the pages' placeholders.

        CHECKPOINT is the last one of the config that the command names.
        """
        config = next((Path(word) for word in words if word.startswith('configs/')), None)
        run = self.folder / 'work_dirs' / config.stem if config else None
        filled = []
        for before, word in zip(['', *words[:-1]], words, strict=True):
            if before == '-o' and (self.folder / word).is_file():
                (self.folder / word).unlink()  # of an earlier block
            if word == 'FILE' and 'fold' in words:
                word = 'epoch_36.pth'  # the other commands of that block take a baseline
            if word == '512' and 'export' in words:
                word = '128'  # size of the nuclei
            if word == 'CONFIG' and '/my/coco' in ' '.join(words):
                word = 'configs/mask_rcnn_swin_s_gab_coco.py'
            word = word.replace('/my/coco', f'{self.folder}/my/coco')
            word = word.replace('.../mmdetection', str(MMDET / '.mim'))
            if word == 'CHECKPOINT' and run:
                word = (run / 'last_checkpoint').read_text()
            filled.append(str(self.words.get(word, word)))
        return filled

    def make_data(self):
        data = self.folder / 'data'
        self.run('python', 'tools/dataset_converters/nuclei.py', '-o', 'data/nuclei')
        make_coco(data / 'nuclei', self.folder / 'my' / 'coco')
        (data / 'coco').symlink_to(self.folder / 'my' / 'coco')
        make_ade20k(data / 'nuclei', data / 'ade' / 'ADEChallengeData2016')
        make_classes(data)
        images = sorted((data / 'nuclei' / 'images' / 'val').iterdir())
        shutil.copytree(images[0].parent, self.folder / 'folder')
        shutil.copytree(images[0].parent, self.folder / 'shots')
        Image.open(images[0]).save(self.folder / 'photo.jpg')
        (self.folder / 'one').mkdir()
        shutil.copy(images[0], self.folder / 'one')
        make_video(images, self.folder / 'clip.mp4')

    def make_runs(self):
        for name, settings in SMALL.items():
            if settings['model'] is not CLASSIFIER:
                self.run('python', 'tools/train.py', f'configs/{name}.py')
        runs = self.folder / 'work_dirs'
        detector = runs / 'mask_rcnn_swin_gab_nuclei' / 'epoch_27.pth'
        stock = runs / 'mask_rcnn_swin_nuclei' / 'epoch_27.pth'
        for name in ('epoch_1.pth', 'epoch_2.pth', 'epoch_3.pth', 'epoch_36.pth', 'swin_gab.pth'):
            shutil.copy(detector, self.folder / name)
        shutil.copytree(detector.parent, runs / 'demo' / detector.parent.name)
        (self.folder / 'stock_config.py').write_text(STOCK_CONFIG)
        make_timm_weights(self.folder / 'timm_swin_tiny.pth')
        erf = ('mmgab', 'erf', 'configs/mask_rcnn_swin_gab_nuclei.py', detector)
        for name in ('before', 'after'):
            self.run(*erf, '--images', 'folder', '--num', '2', '--out', name)
        segmentor = 'upernet_swin_gab_nuclei'
        self.words = {
            'CONFIG': f'configs/{segmentor}.py',
            'CHECKPOINT': runs / segmentor / 'iter_2.pth',
            'PATH': runs / segmentor / 'iter_2.pth',
            'load_from=CHECKPOINT': f'load_from={runs / segmentor / "iter_2.pth"}',
            'WORK_DIR': runs / segmentor,
            'work_dirs/NAME/epoch_*.pth': detector,
            'FILE': stock,
            'FOLDER': 'one',
            'train_dataloader.dataset.data_root=FOLDER':
                'train_dataloader.dataset.data_root=data/nuclei',
            'NEW_FOLDER': 'work_dirs/new',
            'WEIGHTS': 'timm_swin_tiny.pth',
        }  # fmt: skip


def make_coco(nuclei, out):
    """Lay the nuclei out as COCO 2017, with its 80 categories, drawn at random."""
    names = CocoDataset.METAINFO['classes']
    draw = np.random.default_rng(0)
    (out / 'annotations').mkdir(parents=True)
    for split in ('train', 'val'):
        truth = json.loads((nuclei / 'annotations' / f'instances_{split}.json').read_text())
        truth['images'] = truth['images'][:2]
        kept = {image['id'] for image in truth['images']}
        truth['categories'] = [dict(id=i, name=name) for i, name in enumerate(names, 1)]
        truth['annotations'] = [
            annotation | dict(category_id=int(draw.integers(1, len(names) + 1)))
            for annotation in truth['annotations']
            if annotation['image_id'] in kept
        ]
        (out / 'annotations' / f'instances_{split}2017.json').write_text(json.dumps(truth))
        shutil.copytree(nuclei / 'images' / split, out / f'{split}2017')


def make_ade20k(nuclei, out):
    """Lay the nuclei out as ADE20K, with labels 0 (other) to 150, drawn at random."""
    draw = np.random.default_rng(0)
    for split, name in (('train', 'training'), ('val', 'validation')):
        for kind in ('images', 'annotations'):
            (out / kind / name).mkdir(parents=True)
        for image in sorted((nuclei / 'images' / split).iterdir())[:2]:
            Image.open(image).convert('RGB').save(out / 'images' / name / f'{image.stem}.jpg')
            labels = draw.integers(0, 151, (16, 16), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
            Image.fromarray(labels).save(out / 'annotations' / name / f'{image.stem}.png')


def make_classes(data):
    """Write random images in the layouts of ImageNet, Caltech-101 and Pets."""
    imagenet = [
        f'imagenet/{split}/n{number:08}/0.jpg'
        for split in ('train', 'val')
        for number in range(1000)
    ]
    caltech = [
        f'caltech101/images/{n}/image_{i:04}.jpg' for n in ('ant', 'bass') for i in range(10)
    ]
    pets = [f'pets/images/breed{number:02}_{i}.jpg' for number in range(37) for i in range(2)]
    draw = np.random.default_rng(0)
    for name in (*imagenet, *caltech, *pets):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (64, 72, 3), dtype=np.uint8)).save(data / name)


def make_video(images, out):
    import cv2

    frames = [cv2.imread(str(path)) for path in images]
    height, width = frames[0].shape[:2]
    video = cv2.VideoWriter(str(out), cv2.VideoWriter_fourcc(*'mp4v'), 5, (width, height))
    assert video.isOpened()
    for frame in frames:
        video.write(frame)
    video.release()


def make_timm_weights(out):
    """Write random weights, also of the norms, which start as the identity."""
    import timm

    weights = timm.create_model('swin_tiny_patch4_window7_224').state_dict()
    for name, tensor in weights.items():
        if 'norm' in name:
            tensor += 0.1 * torch.randn(tensor.shape)
    torch.save(weights, out)
