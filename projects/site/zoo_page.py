"""The model zoo page, generated from configs/metafile.yml."""

from pathlib import Path

from mmgab.atomic_file import write_text
from mmgab.cli.list_configs import DATA_SETS, TASKS, gigaflops, number_of, read_configs, scores_of

from ..markdown import markdown_table

_HEADER = (
    'config', 'data', 'backbone', 'parameters', 'GFLOPs', 'image', 'training', 'batch', 'score',
)  # fmt: skip
_INTRODUCTION = """\
# Model zoo

No pretrained weights of our own are published: the zoo lists configs, model sizes, and scores with
their sources.

Every config is part of the package. Use it by its name, from any folder:

```bash
mmgab list --task detection --backbone swin-s
mmgab train mmgab::mask_rcnn_swin_s_gab_coco.py
```

[Train a detector on your own data](train_detection.md) and
[Train a segmentor on your own data](train_segmentation.md) show how to adapt a config.
[Inference](inference.md) shows how to run a trained model on images and videos.

* **Config.** `gab` is the Gaussian attention bias. The config without it is the baseline, with all
  other settings equal. `cb` is Context Broadcasting, `gpsa` gated positional self-attention.
* **Backbone.** `custom` is a size that has no common name.
* **Parameters** are those of the complete model.
* **GFLOPs** are those of the backbone for one image of the given height x width. A multiply and an
  add are two operations. Zoos that count them as one report half of the number. Convolutions and
  matrix products are counted, padding of windows included.
* **Batch** is the total over all GPUs.
* **Score.** The number in brackets refers to the sources below. Reported scores are those of
  others, and were not re-run here.
"""


def write_zoo(out: Path) -> None:
    """Write the model zoo page.

    Args:
        out: Folder of the website's sources; the page is ``zoo.md`` in it.
    """
    sources: list[str] = []
    configs = read_configs()
    lines = [_INTRODUCTION]
    for task in TASKS:
        rows = [_row(config, sources) for config in configs if config['task'] == task]
        lines += [f'## {task.capitalize()}', '', markdown_table(_HEADER, rows)]
    lines += ['## Sources of the scores', '']
    lines += [f'{number}. {source}' for number, source in enumerate(sources, 1)]
    write_text(out / 'zoo.md', '\n'.join(lines) + '\n')


def _row(config: dict, sources: list[str]) -> tuple[str, ...]:
    """Return the cells of a config; new sources of its scores are appended to ``sources``."""
    cells = []
    for text, source, detail in scores_of(config):
        full = f'{source}: {detail}' if detail else source
        cells.append(f'{text} [{number_of(full, sources)}]')
    height, width = config['image_size']
    epochs, iterations = config['epochs'], config['iterations']
    return (
        f'`{config["name"]}`',
        DATA_SETS[config['data']],
        config['backbone'],
        f'{config["parameters"] / 1e6:.1f} M',
        gigaflops(config),
        f'{height} x {width}',
        f'{epochs} epochs' if epochs else f'{iterations:,} iterations',
        str(config['batch_size']),
        '; '.join(cells),
    )
