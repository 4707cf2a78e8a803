"""Flip single bits in files, and check that no changed values are loaded."""

import random
import tempfile
from collections import Counter
from pathlib import Path

import torch
from mmengine.logging import HistoryBuffer
from safetensors.torch import save_file

from mmgab.checkpoints import read_checkpoint, write_checkpoint
from mmgab.downloads.download import file_sha256

from .equality import same

CHANGED = 'loaded with other values'


def content():
    """A small checkpoint of a run."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(1, 3, 5, 5)).square().mean().backward()
    optimizer.step()
    hub = dict(log_scalars=dict(loss=HistoryBuffer([1.0, 0.5], [1, 1])), runtime_info=dict(iter=1))
    return dict(
        meta=dict(epoch=1, iter=9, seed=3), state_dict=model.state_dict(),
        optimizer=optimizer.state_dict(), message_hub=hub,
    )  # fmt: skip


def write_files(folder):
    """A file of each format.

    Returns their paths and hashes. The hash is None where reading needs none: the file has check
    sums, or a hash of itself.
    """
    folder, saved = Path(folder), content()
    zip_file, own, old = (folder / name for name in ('zip.pth', 'own.safetensors', 'legacy.pth'))
    torch.save(saved, zip_file)
    write_checkpoint(saved, own)
    torch.save(saved, old, _use_new_zipfile_serialization=False)
    return {
        'PyTorch archive': (zip_file, None),
        'safetensors written here': (own, None),
        'PyTorch before 1.6, with its sha256': (old, file_sha256(old)),
    }


def write_files_without_sums(folder):
    """Files whose format cannot reveal damage to a tensor's values."""
    other, old = Path(folder, 'other.safetensors'), Path(folder, 'plain.pth')
    save_file(content()['state_dict'], other)
    torch.save(content(), old, _use_new_zipfile_serialization=False)
    return {
        'safetensors of another library': (other, None),
        'PyTorch before 1.6, without a hash': (old, None),
    }


def random_bits(path, times, seed):
    """Positions of bits in a file: byte and bit."""
    chance, size = random.Random(seed), path.stat().st_size
    return [(chance.randrange(size), chance.randrange(8)) for _ in range(times)]


def flip(path, sha256, bits):
    """Flip each of the bits in a fresh copy of a file; returns how often reading ended how."""
    whole, intact, outcomes = path.read_bytes(), read_checkpoint(path), Counter()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, path.name)
        for byte, bit in bits:
            damaged = bytearray(whole)
            damaged[byte] ^= 1 << bit
            copy.write_bytes(damaged)
            try:
                found = read_checkpoint(copy, sha256=sha256)
            except ValueError:
                outcomes['refused'] += 1
            else:
                outcomes['read as it was' if same(intact, found) else CHANGED] += 1
    return outcomes
