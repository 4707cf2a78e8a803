"""Adapts, offloads and trains SwinGAB and the stock Swin with other projects' libraries.

    PYTHONPATH=.venv/peers python -m tests.models.drop_in_peers_program RESULT.json

They need versions of timm and transformers that cannot live in one environment with the toolboxes.
"""

import json
import sys
import tempfile
import warnings
from pathlib import Path

import peft
import pytorch_lightning
import torch
from accelerate import Accelerator, cpu_offload, disk_offload
from torch import nn

# MMDetection imports it where it is installed, and it knows none of today's transformers.
sys.modules['mmpretrain'] = None

from .drop_in_pairs import image, loss, ours, stock  # noqa: E402

_QKV = ['qkv']
_OF_ONE_SIZE = [f'stages.0.blocks.{block}.attn.w_msa.qkv' for block in range(2)]  # VeRA shares
_LINEAR = r'.*(qkv|proj|projection|layers\.0\.0|layers\.1)'


def adapted(settings):
    """A step of training with an adapter of PEFT whose tensors are not at their start."""

    def use(build):
        model = peft.get_peft_model(build(), settings).eval()
        generator = torch.Generator().manual_seed(3)
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and 'bias' not in name:
                nn.init.normal_(parameter, std=0.1, generator=generator)
        maps = model(image())
        loss(maps).backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        assert gradients
        return [*maps, *gradients]

    return use


def prepared(build):
    accelerator = Accelerator(cpu=True)
    model = accelerator.prepare(build())
    optimizer = accelerator.prepare(torch.optim.SGD(model.parameters(), lr=0.1))
    accelerator.backward(loss(model(image())))
    optimizer.step()
    return model(image())


def offloaded_to_memory(build):
    model = build().eval()
    cpu_offload(model, execution_device=torch.device('cpu'), offload_buffers=True)
    with torch.no_grad():
        return model(image())


def offloaded_to_disk(build):
    model = build().eval()
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        disk_offload(model, folder, execution_device=torch.device('cpu'))
        return model(image())


class Module(pytorch_lightning.LightningModule):
    """Trains a backbone to return zeros."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone

    def training_step(self, batch, batch_idx):
        return loss(self.backbone(batch))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trained_by_lightning(build):
    module = Module(build())
    with tempfile.TemporaryDirectory() as folder:
        trainer = pytorch_lightning.Trainer(
            accelerator='cpu', max_epochs=1, default_root_dir=folder, logger=False,
            enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
        )  # fmt: skip
        trainer.fit(module, torch.utils.data.DataLoader(image(4), batch_size=2))
    return module.backbone.eval()(image())


USES = {
    'LoRA': adapted(peft.LoraConfig(target_modules=_QKV)),
    'LoRA with a bias': adapted(peft.LoraConfig(target_modules=_QKV, lora_bias=True)),
    'LoRA of all layers, biases trained': adapted(
        peft.LoraConfig(target_modules=_LINEAR, bias='all')
    ),
    'DoRA': adapted(peft.LoraConfig(target_modules=_QKV, use_dora=True)),
    'IA3': adapted(peft.IA3Config(target_modules=_QKV, feedforward_modules=[])),
    'IA3 on inputs': adapted(peft.IA3Config(target_modules=_QKV, feedforward_modules=_QKV)),
    'LoHa': adapted(peft.LoHaConfig(target_modules=_QKV)),
    'LoKr': adapted(peft.LoKrConfig(target_modules=_QKV)),
    'VeRA': adapted(peft.VeraConfig(target_modules=_OF_ONE_SIZE)),
    'OFT': adapted(peft.OFTConfig(target_modules=_QKV, r=0, oft_block_size=4)),
    'BOFT': adapted(peft.BOFTConfig(target_modules=_QKV, boft_block_size=4)),
    'accelerate, prepare': prepared,
    'accelerate, offload to memory': offloaded_to_memory,
    'accelerate, offload to disk': offloaded_to_disk,
    'Lightning': trained_by_lightning,
}


def outcome(name, build):
    """Mean absolute value of each tensor of the result, or the error that ends it."""
    torch.manual_seed(0)
    try:
        return [one.detach().double().abs().mean().item() for one in USES[name](build)]
    except Exception as error:
        return f'{type(error).__name__}: {error}'[:500]


if __name__ == '__main__':
    warnings.simplefilter('ignore')
    results = {name: [outcome(name, build) for build in (stock, ours)] for name in USES}
    Path(sys.argv[1]).write_text(json.dumps(results))
