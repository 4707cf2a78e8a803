"""Categories of an annotation file against the classes of a config: names, order, labels."""

from collections.abc import Iterator, Mapping, Sequence

from mmgab.datasets.category_labels import misplaced

from .findings import Finding


def labelled_names(content: Mapping, classes: Sequence[str]) -> list[str]:
    """Names by label, as MMDetection numbers them: in the order of the file, not of the config."""
    return [each['name'] for each in content['categories'] if each['name'] in classes]


def check_labels(names: Sequence[str], classes: Sequence[str], source: object) -> Iterator[Finding]:
    """Note labels that stand for another category than the class of that number.

    Args:
        names: Of the categories, by label.
        classes: Of the config's data set.
        source: Where the names are from.
    """
    for label, instead in misplaced(names, classes).items():
        detail = (
            f'{source}: label {label} is {names[label]}, class {label} of the config is {instead}; '
            'labels follow the order of "categories" in the file'
        )
        yield Finding('label of another class', detail)
