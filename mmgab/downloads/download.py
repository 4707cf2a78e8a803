"""Download files once and completely, and verify their hash if one is given."""

import hashlib
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import torch
from torch import distributed

from mmgab.atomic_file import partial_file, put_in_place, remove_abandoned
from mmgab.log import log

from .http_transfer import fetch
from .url import redact, split_credentials

Check = Callable[[Path], None]
_FRAGMENT = re.compile(r'sha256[=:-]([0-9a-f]{8,64})', re.IGNORECASE | re.ASCII)
_DIGITS = re.compile(r'[0-9a-fA-F]{8,64}')
_MAX_NAME = 200  # bytes; a file system takes 255, with what is put before the name


def split_hash(url: str) -> tuple[str, str | None]:
    """Split ``#sha256=...`` off a URL, in any case, also with ``:`` or ``-`` for ``=``.

    Returns:
        The URL, and the digits in lower case; None if nothing follows the URL.

    Raises:
        ValueError: If something else follows it, or not 8 to 64 hexadecimal digits.
    """
    url, mark, fragment = url.partition('#')
    if not mark:
        return url, None
    match = _FRAGMENT.fullmatch(fragment)
    if match is None:
        raise ValueError(
            f'{redact(url)} is followed by {mark + fragment!r}; only #sha256=DIGITS may follow, '
            'with 8 to 64 hexadecimal digits'
        )
    return url, match[1].lower()


def download(url: str, sha256: str | None = None, check: Check | None = None) -> Path:
    """Download a file to torch's hub folder, if it is not there yet; each machine does so once.

    Nothing is kept of a download that fails. A file that is there, but has another hash or is
    damaged, is downloaded again; it is replaced if the new one is right.

    Args:
        url: Where it is, without a fragment. URLs that differ in more than user and password never
            share a file.
        sha256: Its hash or at least the first 8 digits of it. Eight digits are 32 bits: enough
            against damage and mix-ups. An attacker makes another file with these digits within
            minutes to hours; give all 64 against that.
        check: Called with the path of a file that is there, or with the temporary one of a
            complete download; raises ValueError if it is damaged.

    Returns:
        Its path.

    Raises:
        ConnectionError: If it cannot be downloaded; see :func:`~.http_transfer.fetch`.
        OSError: If it cannot be written.
        ValueError: If the URL or the hash is invalid, the file has another hash, or ``check``
            rejects it.
    """
    if '#' in url:
        raise ValueError(f'{redact(url)} has a fragment; remove it with split_hash')
    if sha256 is not None:
        sha256 = _checked_digits(sha256)
    url, credentials = split_credentials(url)
    path = _cached_path(url)
    is_first = os.environ.get('LOCAL_RANK', '0') == '0'
    try:
        if is_first and not _is_cached(path, redact(url), sha256, check):
            _download(url, credentials, path, sha256, check)
    finally:  # the other processes wait for this one, whether it succeeds or not
        if distributed.is_available() and distributed.is_initialized():
            distributed.barrier()
    if not path.is_file():
        raise ConnectionError(
            f'checkpoint {redact(url)} could not be downloaded by the first process of this '
            'machine, whose error has the reason'
        )
    if sha256 is not None and not is_first:
        check_hash(path, redact(url), sha256)
    return path


def _cached_path(url: str) -> Path:
    name = urlsplit(url).path.rpartition('/')[2]
    if not name:
        raise ValueError(f'{redact(url)} has no file name; its path must not end with a slash')
    name = f'{hashlib.sha256(url.encode()).hexdigest()[:12]}-{name[-_MAX_NAME:]}'
    return Path(torch.hub.get_dir()) / 'checkpoints' / name


def _is_cached(path: Path, source: str, sha256: str | None, check: Check | None) -> bool:
    if not path.is_file():
        return False
    try:
        if sha256 is not None:
            check_hash(path, source, sha256)
        if check is not None:
            check(path)
    except ValueError as error:
        log(
            f'cached file {path} is ignored, {source} is downloaded again: {error}', logging.WARNING
        )
        return False
    return True


def _download(
    url: str, credentials: str, path: Path, sha256: str | None, check: Check | None
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(path.parent)
    with partial_file(path.parent, path.suffix) as temporary:
        found = fetch(url, credentials, temporary)
        if sha256 is not None and not found.startswith(sha256):
            raise ValueError(
                f'the file behind {redact(url)} has the wrong hash: its sha256 is '
                f'{found}, wanted {sha256}. It was deleted; check the URL and the hash'
            )
        if check is not None:
            check(temporary)
        put_in_place(temporary, path)


def check_hash(path: Path, source: str, wanted: str) -> None:
    """Verify the hash of a file; see :func:`check_digest`."""
    check_digest(file_sha256(path), source, path, wanted)


def check_digest(found: str, source: str, path: Path, wanted: str) -> None:
    """Verify a computed hash.

    Args:
        found: The hash, 64 hexadecimal digits.
        source: What the user calls the file.
        path: Where it is.
        wanted: The hash that it must have, or its first digits; see :func:`download`.

    Raises:
        ValueError: If they differ, or ``wanted`` is not 8 to 64 hexadecimal digits.
    """
    if not found.lower().startswith(_checked_digits(wanted)):
        raise ValueError(
            f'{source} has the wrong hash: its sha256 is {found}, wanted {wanted}. '
            f'Compare the hash with the published one, or replace {path.resolve()}'
        )


def _checked_digits(wanted: str) -> str:
    if not isinstance(wanted, str) or not _DIGITS.fullmatch(wanted):
        raise ValueError(f'sha256 must be 8 to 64 hexadecimal digits; got {wanted!r}')
    return wanted.lower()


def file_sha256(path: Path | str) -> str:
    """Return the sha256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
