"""Transfer a file over HTTP with one request, or raise an error with the reason."""

import hashlib
import html
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from tqdm import tqdm

from . import http_connection
from .url import redact

SILENT_SECONDS = 1.0  # without a progress bar
_BLOCK = 1 << 20  # bytes
_HEAD = 4096  # bytes at the beginning of a file that show whether it is text
_BINARY = re.compile(rb'[\x00-\x08\x0e-\x1a\x1c-\x1f]')  # in the head of every checkpoint format
_TITLE = re.compile(r'<title[^>]*>(.*?)</title', re.IGNORECASE | re.DOTALL)


def fetch(url: str, credentials: str, path: Path) -> str:
    """Write the file behind a URL to a path; the caller deletes what a failure leaves there.

    Args:
        url: First part of what :func:`~.url.split_credentials` returns.
        credentials: Second part.
        path: Where to; in a folder that exists.

    Returns:
        The sha256 of what was written, 64 hexadecimal digits.

    Raises:
        ConnectionError: If the file does not come, or not completely; if the server is too slow or
            sends too much, see :mod:`.http_connection`; if it compresses the file, or answers with
            nothing or with text.
        OSError: If the file cannot be written or has no room on the disk.
    """
    source = redact(url)
    with _network_errors(source):
        response = http_connection.open_url(url, credentials)
    with response, open(path, 'wb') as file:
        _check_headers(response, source)
        _check_room(response.length, path.parent, source)
        sha256 = _copy(response, file, source)
    _check_binary(path, source)
    return sha256


@contextmanager
def _network_errors(source: str) -> Iterator[None]:
    try:
        yield
    except (OSError, HTTPException, UnicodeError) as error:
        # Without the cause, whose text may have the query of the URL.
        raise _download_error(source, _reason(error)) from None


def _download_error(source: str, reason: str) -> ConnectionError:
    return ConnectionError(
        f'checkpoint {source} cannot be downloaded: {reason}. Get the file by other means, such as '
        'a browser or another machine, and give its path instead'
    )


def _reason(error: Exception) -> str:
    if isinstance(error, HTTPError):
        error.close()
        return _status(error.code)
    if not isinstance(error, (OSError, UnicodeError)):
        return f'the answer is not valid HTTP ({type(error).__name__})'
    return redact(str(error.reason if isinstance(error, URLError) else error))


def _status(code: int) -> str:
    phrases = {status.value: f' {status.phrase}' for status in HTTPStatus}
    hint = ', a redirect in a loop or to a URL that is not http(s)' if 300 <= code < 400 else ''
    return f'the server answered with status {code}{phrases.get(code, "")}{hint}'


def _check_headers(response: HTTPResponse, source: str) -> None:
    if response.status != HTTPStatus.OK:
        raise _download_error(source, _status(response.status))
    encoding = response.headers.get('Content-Encoding', '').strip().lower()
    if encoding not in ('', 'identity'):
        raise _download_error(source, f'the server sends it compressed ({encoding[:20]!r})')
    if response.length is not None and response.length > http_connection.MAX_BYTES:
        limit = _gigabytes(http_connection.MAX_BYTES)
        raise _download_error(
            source, f'its size is {_gigabytes(response.length)}, the limit is {limit}'
        )


def _check_room(length: int | None, folder: Path, source: str) -> None:
    free = shutil.disk_usage(folder).free
    if length is not None and length > free:
        raise OSError(
            f'checkpoint {source} needs {_gigabytes(length)}, but {folder} has only '
            f'{_gigabytes(free)} free: free disk space, or set TORCH_HOME to another disk'
        )


def _gigabytes(count: int) -> str:
    return f'{count / 1e9:.1f} GB'


def _copy(response: HTTPResponse, file: BinaryIO, source: str) -> str:
    digest, length, count = hashlib.sha256(), response.length, 0
    name = Path(urlsplit(response.url).path).name[-40:]
    with tqdm(
        desc=name,
        total=length,
        delay=SILENT_SECONDS,
        unit='B',
        unit_scale=True,
        unit_divisor=1024,
    ) as progress:
        while block := _read(response, source):
            _write(file, block)
            digest.update(block)
            count += len(block)
            progress.update(len(block))
    if length not in (None, count):
        raise _download_error(source, f'only {count} of {length} bytes were received')
    return digest.hexdigest()


def _read(response: HTTPResponse, source: str) -> bytes:
    with _network_errors(source):
        return response.read1(_BLOCK)


def _write(file: BinaryIO, block: bytes) -> None:
    try:
        file.write(block)
        file.flush()
    except OSError as error:  # which does not say where
        raise OSError(error.errno, error.strerror, file.name) from None


def _check_binary(path: Path, source: str) -> None:
    with open(path, 'rb') as file:
        head = file.read(_HEAD)
    if not head:
        raise _download_error(source, 'the server sent an empty file')
    if not _BINARY.search(head):
        reason = f'the server sent a web page or another text: "{_first_words(head)}"'
        raise _download_error(source, reason)


def _first_words(page: bytes) -> str:
    """Return the title of a web page, or the first words of a text, on one line."""
    text = page.decode(errors='replace')
    title = _TITLE.search(text)
    words = html.unescape(title[1] if title else re.sub(r'<[^>]*>', ' ', text)).split()
    return redact(''.join(filter(str.isprintable, ' '.join(words))))[:80]
