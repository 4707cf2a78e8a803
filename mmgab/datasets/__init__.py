"""What is between a dataset and the model: order, random numbers, files that cannot be read."""

from .resumable_batch_sampler import ResumableBatchSampler
from .seeded_samples import SeededIndex, SeededSamples

__all__ = ['ResumableBatchSampler', 'SeededIndex', 'SeededSamples']
