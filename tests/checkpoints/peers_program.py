"""Runs other projects' Swins that cannot live in one environment with the toolboxes.

    PYTHONPATH=.venv/peers python peers_program.py JOBS.json

Each job has a folder. ``make`` writes a random model's checkpoint as the project does, and its
outputs; ``run`` loads a checkpoint by the project's own strict means, and writes the outputs;
``names`` writes the names and shapes of a published size.
"""

import json
import sys
from pathlib import Path

import torch
from groundingdino.models.GroundingDINO.backbone.swin_transformer import (
    SwinTransformer as MicrosoftBackbone,
)
from timm.models.swin_transformer import SwinTransformer as MicrosoftClassifier
from transformers import (
    SwinBackbone,
    SwinConfig,
    SwinForImageClassification,
    SwinForMaskedImageModeling,
    SwinModel,
)

SIZES = dict(embed_dim=16, depths=(2, 2, 2, 2), num_heads=(2, 4, 8, 16), window_size=7)
STAGES = ['stage1', 'stage2', 'stage3', 'stage4']
CLASSES = 5
WHOLE_WINDOWS = (448, 448)


def config(**options):
    return SwinConfig(**{**SIZES, 'depths': [2] * 4, 'num_heads': [2, 4, 8, 16]}, **options)


def microsoft_classifier(image_size):
    return MicrosoftClassifier(img_size=image_size, num_classes=CLASSES, **SIZES)


# Project: how to build it, the size of its images, and its outputs.
MODELS = {
    'SwinModel': (
        lambda: SwinModel(config()),
        WHOLE_WINDOWS,
        lambda model, x: [as_map(model(x).last_hidden_state)],
    ),
    'SwinForImageClassification': (
        lambda: SwinForImageClassification(config(num_labels=CLASSES)),
        WHOLE_WINDOWS,
        lambda model, x: [as_map(model.swin(x).last_hidden_state), model(x).logits],
    ),
    'SwinForMaskedImageModeling': (
        lambda: SwinForMaskedImageModeling(config(image_size=448)),
        WHOLE_WINDOWS,
        lambda model, x: [as_map(model.swin(x).last_hidden_state)],
    ),
    'SwinBackbone': (
        lambda: SwinBackbone(config(out_features=STAGES)),
        (97, 131),
        lambda model, x: list(model(x).feature_maps),
    ),
    'SwinBackbone with position embedding': (
        lambda: SwinBackbone(
            config(out_features=STAGES, use_absolute_embeddings=True, image_size=448)
        ),
        WHOLE_WINDOWS,
        lambda model, x: list(model(x).feature_maps),
    ),
    'microsoft': (
        lambda: microsoft_classifier(448),
        WHOLE_WINDOWS,
        lambda model, x: [model.forward_features(x), model(x)],
    ),
    'microsoft detection': (
        lambda: MicrosoftBackbone(**SIZES),
        (97, 131),
        lambda model, x: list(model.forward_raw(x)),
    ),
    'microsoft detection with position embedding': (
        lambda: MicrosoftBackbone(ape=True, pretrain_img_size=64, **SIZES),
        (64, 64),
        lambda model, x: list(model.forward_raw(x)),
    ),
}


def as_map(tokens):
    side = int(tokens.shape[1] ** 0.5)
    return tokens.transpose(1, 2).unflatten(2, (side, side))


def outputs(name, model):
    _, size, run = MODELS[name]
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    model.eval()  # which returns nothing in Microsoft's code
    with torch.no_grad():
        return run(model, x)


def randomise(model):
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            is_matrix = parameter.ndim > 1 and 'table' not in name
            std = parameter[0].numel() ** -0.5 if is_matrix else 1.0
            parameter.normal_(std=std, generator=generator)
    return model


def make(name, folder):
    model = randomise(MODELS[name][0]())
    state_dict = model.state_dict()
    if 'microsoft' in name:
        key = 'model' if name == 'microsoft' else 'state_dict'
        torch.save({key: state_dict}, folder / 'swin.pth')
    else:
        model.save_pretrained(folder / 'saved')  # names of version 4
        torch.save(state_dict, folder / 'swin.pth')  # names of version 5
    torch.save(outputs(name, model), folder / 'outputs.pth')


def load(name, folder):
    """By the project's own means, refusing anything that is missing or too much."""
    if 'microsoft' not in name:
        cls = getattr(sys.modules['transformers'], name.split()[0])
        model, info = cls.from_pretrained(folder / 'folded', output_loading_info=True)
        wrong = {key: value for key, value in info.items() if value}
        assert not wrong, wrong
        return model
    tensors = torch.load(folder / 'folded.pth', weights_only=True)
    tensors = tensors['model' if name == 'microsoft' else 'state_dict']
    if name != 'microsoft':
        model = MODELS[name][0]()
        model.load_state_dict(tensors, strict=True)
        return model
    published = microsoft_classifier(224)
    own = {n: t for n, t in published.state_dict().items() if n.endswith('attn_mask')}
    assert own
    assert all(torch.equal(tensors[n], mask) for n, mask in own.items())
    published.load_state_dict(tensors, strict=True)
    # For other images the masks are others, and the classifier's own loader leaves them out.
    model = microsoft_classifier(448)
    parameters = {n: t for n, t in tensors.items() if not n.endswith('attn_mask')}
    missing, unexpected = model.load_state_dict(parameters, strict=False)
    assert not unexpected
    assert all(n.endswith('attn_mask') for n in missing)
    return model


def names(width, depths, heads, window):
    """Shapes of all tensors."""
    sizes = dict(embed_dim=width, depths=depths, num_heads=heads, window_size=window)
    models = {
        'transformers': SwinModel(SwinConfig(**sizes), add_pooling_layer=False),
        'microsoft': MicrosoftClassifier(img_size=32 * window, **sizes),
        'microsoft detection': MicrosoftBackbone(**sizes),
    }
    return {
        project: {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
        for project, model in models.items()
    }


def main():
    for job in json.loads(Path(sys.argv[1]).read_text()):
        name, folder = job['project'], Path(job['folder'])
        if job['do'] == 'names':
            (folder / f'{name}.json').write_text(json.dumps(names(*job['size'])))
        elif job['do'] == 'make':
            make(name, folder)
        else:
            torch.save(outputs(name, load(name, folder)), folder / 'outputs_of_folded.pth')


if __name__ == '__main__':
    main()
