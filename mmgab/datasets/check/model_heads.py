"""Heads within the settings of a model, and the number of their classes."""

from collections.abc import Collection, Iterator, Mapping

from .findings import Finding


def heads(node: object, path: str, names: tuple[str, ...]) -> Iterator[tuple[str, Mapping]]:
    """Heads within settings, also each of a cascade, and where they are."""
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
        where: Of the head, in the config.
        head: Its settings; a head without the number has its class's own.
        allowed: Numbers of classes that fit.
    """
    number = head.get('num_classes')
    if number is not None and number not in allowed:
        detail = f'{where}.num_classes={number}, the data set has {max(allowed)} classes'
        yield Finding('number of classes of a head is another', detail)
