"""Report findings about the images of a split: unreadable files, duplicates, channels."""

from collections.abc import Iterable, Iterator

from .findings import Finding, Split
from .image_checks import InspectedImage


def add_images(split: Split, images: Iterable[InspectedImage], source: str) -> None:
    """Add the findings and digests of the images of a split.

    Args:
        split: Split that receives the findings.
        images: Inspected images.
        source: Folder or annotation file that lists the images.
    """
    images = list(images)
    split.add(bad_names(image.path for image in images))
    if not images:
        split.add([Finding('dataset without images', source)])
    by_digest: dict[str, str] = {}
    for image in images:
        split.add(image.findings)
        if image.problem is not None:
            split.add([Finding('image cannot be read', f'{image.path}: {image.problem}')])
        if not image.digest:
            continue
        split.hashes[image.path] = image.digest
        first = by_digest.setdefault(image.digest, image.path)
        if first != image.path:
            split.add([Finding('duplicate image', f'{image.path} is identical to {first}', False)])
    split.add(_other_channels(images))


def bad_names(paths: Iterable[str]) -> Iterator[Finding]:
    """Report file names that cannot be written to logs and results."""
    for path in paths:
        try:
            path.encode()
        except UnicodeEncodeError:
            yield Finding('file name is not valid UTF-8', path)


def _other_channels(images: Iterable[InspectedImage]) -> Iterator[Finding]:
    """Report images whose channels differ from the first image, as a batch needs equal ones."""
    first = None
    for image in images:
        first = first or (image if image.channels else None)
        if first is not None and image.channels not in (None, first.channels):
            detail = f'{image.path}: {image.channels} channels, {first.path} has {first.channels}'
            yield Finding('images differ in their number of channels', detail)
