"""AdamW as Swin is fine-tuned with; see ../../_base_/adamw_swin.py for what is not decayed."""

from mmengine.optim import OptimWrapper
from torch.optim import AdamW

optim_wrapper = dict(
    type=OptimWrapper,
    optimizer=dict(type=AdamW, lr=1e-3, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        custom_keys={
            'pos_embed': dict(decay_mult=0.0),
            'relative_position_bias_table': dict(decay_mult=0.0),
            'gaussian': dict(decay_mult=0.0),
            'broadcast': dict(decay_mult=0.0),
            'local': dict(decay_mult=0.0),
            'norm': dict(decay_mult=0.0),
            '.gamma': dict(decay_mult=0.0),
        },
    ),
)
