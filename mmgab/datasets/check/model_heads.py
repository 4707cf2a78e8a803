"""Find the heads in the settings of a model, and check their ``num_classes``."""

from collections.abc import Collection, Iterator, Mapping

from .findings import Finding


def heads(node: object, path: str, names: tuple[str, ...]) -> Iterator[tuple[str, Mapping]]:
    """Yield the heads within settings, each stage of a cascade included, with their config keys."""
    if isinstance(node, (list, tuple)):
        for index, each in enumerate(node):
            yield from heads(each, f'{path}[{index}]', names)
    elif isinstance(node, Mapping):
        if path.rpartition('.')[2].partition('[')[0] in names:
            yield path, node
        for key, each in node.items():
            yield from heads(each, f'{path}.{key}', names)


def check_number(where: str, head: Mapping, allowed: Collection[int]) -> Iterator[Finding]:
    """Compare the classes of a head with those of the data.

    Args:
        where: Config key of the head.
        head: Settings of the head; without ``num_classes``, the head's default is used.
        allowed: Allowed numbers of classes.
    """
    number = head.get('num_classes')
    if number is not None and number not in allowed:
        detail = f'{where}.num_classes={number}, the dataset has {max(allowed)} classes'
        yield Finding('num_classes of a head differs from the dataset', detail)
