"""Data loading: resumable order, seeded augmentation, unreadable files, dataset checks."""

from .resumable_batch_sampler import ResumableBatchSampler
from .seeded_samples import SeededIndex, SeededSamples

__all__ = ['ResumableBatchSampler', 'SeededIndex', 'SeededSamples']
