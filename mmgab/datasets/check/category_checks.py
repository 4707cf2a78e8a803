"""Compare the categories of an annotation file with the classes of a config."""

from collections.abc import Iterator, Mapping, Sequence

from mmgab.datasets.category_labels import misplaced

from .findings import Finding


def labelled_names(content: Mapping, classes: Sequence[str]) -> list[str]:
    """Return category names by label: MMDetection uses the order of the file, not of classes."""
    return [each['name'] for each in content['categories'] if each['name'] in classes]


def check_labels(names: Sequence[str], classes: Sequence[str], source: object) -> Iterator[Finding]:
    """Report labels whose category differs from the class at that index of the config.

    Args:
        names: Category names by label.
        classes: Classes of the config's dataset.
        source: Annotation file of the names.
    """
    for label, instead in misplaced(names, classes).items():
        detail = (
            f'{source}: label {label} is {names[label]}, class {label} of the config is {instead}; '
            'labels follow the order of "categories" in the file, list classes in that order'
        )
        yield Finding('label assigned to the wrong class', detail)
