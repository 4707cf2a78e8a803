"""Study: Mask R-CNN on nuclei, the arm without any method; see docs/study.md.

python tools/dataset_converters/nuclei.py
python tools/train.py configs/study/mask_rcnn_swin_nuclei.py
"""

_base_ = ['../_base_/nuclei_instance.py', './_base_/mask_rcnn_swin.py']

train_dataloader = dict(batch_size=4, sampler=dict(type='InfiniteSampler'))
model = dict(roi_head=dict(bbox_head=dict(num_classes=1), mask_head=dict(num_classes=1)))
