"""AdamW as Swin, and a plain ViT, are fine-tuned with, and the one list of what is not decayed.

Norms, relative-position tables, absolute position embeddings, factors of branches (gamma), what
Context Broadcasting and gated attention learn, and amplitude and sigma of the Gaussian (the code of
arXiv 2305.04722 puts those two into a group without decay). A key matches every parameter whose
name contains it. BatchNorms of heads (bn) are decayed, as in the stock Swin recipes.
"""

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(
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
