"""Study: Mask R-CNN on digit scenes, the arm without any method; see docs/study.md.

python tools/dataset_converters/digit_scenes.py
python tools/train.py configs/study/mask_rcnn_swin_digits.py
"""

_base_ = ['./_base_/digits_instance.py', './_base_/mask_rcnn_swin.py']
