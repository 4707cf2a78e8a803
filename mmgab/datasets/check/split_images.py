"""Images of a split: those that cannot be read, that lose something, or that are there twice."""

from collections.abc import Iterable, Iterator

from .findings import Finding, Split
from .image_checks import Looked


def add_images(split: Split, images: Iterable[Looked], source: str) -> None:
    """Note what is wrong with the images of a split, and their digests.

    Args:
        split: Which gets the findings.
        images: That were read.
        source: Where they were looked for.
    """
    images = list(images)
    split.add(bad_names(image.path for image in images))
    if not images:
        split.add([Finding('data set without an image', source)])
    by_digest: dict[str, str] = {}
    for image in images:
        split.add(image.findings)
        if image.problem is not None:
            split.add([Finding('image that cannot be read', f'{image.path}: {image.problem}')])
        if not image.digest:
            continue
        split.hashes[image.path] = image.digest
        first = by_digest.setdefault(image.digest, image.path)
        if first != image.path:
            split.add([Finding('image that is there twice', f'{image.path} is {first}', False)])
    split.add(_other_channels(images))


def bad_names(paths: Iterable[str]) -> Iterator[Finding]:
    """Note names that logs and results cannot hold."""
    for path in paths:
        try:
            path.encode()
        except UnicodeEncodeError:
            yield Finding('file name that is not valid UTF-8', path)


def _other_channels(images: Iterable[Looked]) -> Iterator[Finding]:
    """Images with another number of channels than the first, which no batch holds."""
    first = None
    for image in images:
        first = first or (image if image.channels else None)
        if first is not None and image.channels not in (None, first.channels):
            detail = f'{image.path}: {image.channels}, {first.path} has {first.channels}'
            yield Finding('images of different numbers of channels', detail)
