"""Reading, updating and writing configs/metafile.yml."""

from collections.abc import Iterable

import yaml

HEADER = """\
# Model index of mim and `mmgab list`. `python -m projects.metafile` measures Metadata. Results and
# Reported are written by hand, and it keeps them.
#
# Parameters  of the whole model.
# FLOPs       of the backbone for one image of Image Size (height x width); a multiply and an add
#             are two operations.
# Results     measured in this project. No pretrained weights are published.
# Reported    scores that others published for the same model or baseline; not re-run here.
"""
# Generated fields of Metadata: an outdated one is removed.
_GENERATED = {
    *('Task', 'Training Data', 'Epochs', 'Iterations', 'Batch Size', 'Training Techniques'),
    *('Architecture', 'Backbone', 'Parameters', 'FLOPs', 'Image Size'),
}


class _Dumper(yaml.SafeDumper):
    """A dumper that indents lists, as OpenMMLab's metafiles do."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless=False)


def updated(text: str, facts: Iterable[dict]) -> str:
    """Return the metafile with measured fields replaced.

    Args:
        text: The metafile.
        facts: Generated fields of each config, as of :func:`.config_facts.facts_of`.

    Returns:
        One entry for each config, sorted by name. Collections, and the fields of an entry that are
        not generated, are kept. Entries without a config are dropped.
    """
    index = yaml.safe_load(text)
    known = {entry['Name']: entry for entry in index['Models']}
    entries = [_entry(known.get(each['Name'], {}), each) for each in facts]
    index['Models'] = sorted(entries, key=lambda entry: entry['Name'])
    return HEADER + yaml.dump(index, Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True)


def _entry(known: dict, facts: dict) -> dict:
    """Merge the generated fields of a config into its entry."""
    by_hand = {
        key: value for key, value in known.get('Metadata', {}).items() if key not in _GENERATED
    }
    return {**facts, 'Metadata': {**facts['Metadata'], **by_hand}} | {
        key: value for key, value in known.items() if key not in facts
    }
