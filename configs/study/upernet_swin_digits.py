"""Study: UPerNet on digit scenes, the arm without any method; see docs/study.md.

python tools/dataset_converters/digit_scenes.py
python tools/train.py configs/study/upernet_swin_digits.py
"""

_base_ = ['./_base_/digits_semantic.py', './_base_/upernet_swin.py']

# Background is nine tenths of the pixels.
_loss = dict(class_weight=[0.1, *[1.0] * 10])
model = dict(decode_head=dict(num_classes=11, loss_decode=_loss))
