"""Files behind URLs: fetched once, whole, and checked against a hash where one is given."""

import hashlib
import os
import shutil
import tempfile
from http.client import HTTPException
from pathlib import Path
from urllib.error import ContentTooShortError, URLError
from urllib.request import urlopen

import torch
from mmengine.dist import barrier


def download(url: str, sha256: str | None = None) -> Path:
    """Path of a downloaded file, in torch's hub folder; each machine downloads it once.

    Args:
        url: Where it is; two URLs never share a file.
        sha256: What its hash must be, or its first digits; also of a file that is there already.

    Raises:
        ConnectionError: If it cannot be downloaded whole; nothing of it is kept.
        ValueError: If it has another hash.
    """
    name = url.partition('?')[0].rpartition('/')[2]
    if not name:
        raise ValueError(f'{url} names no file')
    folder = Path(torch.hub.get_dir()) / 'checkpoints'
    path = folder / f'{hashlib.sha256(url.encode()).hexdigest()[:12]}-{name}'
    try:
        if os.environ.get('LOCAL_RANK', '0') == '0' and not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            _fetch(url, path)
    finally:  # the other processes wait for this one, whether it succeeds or not
        barrier()
    if not path.exists():
        raise ConnectionError(f'checkpoint {url} could not be downloaded by the first process')
    if sha256 is not None:
        check_hash(path, url, sha256)
    return path


def _fetch(url: str, path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        draft = Path(folder) / path.name
        try:
            with urlopen(url) as response:
                length = response.headers.get('Content-Length')
            torch.hub.download_url_to_file(url, str(draft))
            size = draft.stat().st_size
            if length is not None and size != int(length):
                raise ContentTooShortError(f'{size} bytes of {length} came', draft)
        except (URLError, HTTPException, ConnectionError, TimeoutError) as error:
            reason = getattr(error, 'reason', error)
            raise ConnectionError(
                f'checkpoint {url} cannot be downloaded ({reason}); where there is no network, '
                'fetch it elsewhere and give its path instead'
            ) from error
        shutil.move(draft, path)


def check_hash(path: Path, source: str, wanted: str) -> None:
    """Check a file against a hash.

    Raises:
        ValueError: If it has another one, or if ``wanted`` has less than 8 digits.
    """
    if len(wanted) < 8:
        raise ValueError(f'sha256 must have 8 digits at least, got {wanted!r}')
    found = file_sha256(path)
    if not found.startswith(wanted.lower()):
        raise ValueError(
            f'{source} is not the file that was asked for: its sha256 is {found}, wanted {wanted}. '
            f'It lies in {path.resolve()}; remove it to have it downloaded again'
        )


def file_sha256(path: Path | str) -> str:
    """Hash of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
