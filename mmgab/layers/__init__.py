"""Building blocks of the backbones: attention, blocks, embeddings and argument checks."""
