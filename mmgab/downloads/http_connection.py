"""HTTP connections with limits on the time, rate and size of an answer."""

import base64
import io
import time
from http.client import HTTPConnection, HTTPMessage, HTTPResponse, HTTPSConnection
from typing import IO, TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.parse import unquote, urlsplit
from urllib.request import (
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    Request,
    build_opener,
)

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

TIMEOUT = 30.0  # seconds without a byte
RATE_WINDOW = 60.0  # seconds of waiting, in each of which MIN_RATE must be reached on average
MIN_RATE = 16 << 10  # bytes a second
MAX_BYTES = 32 << 30  # of an answer, headers included


def open_url(url: str, credentials: str) -> HTTPResponse:
    """Send one GET request, and one more for each redirect.

    Proxies are those of the environment. Redirects are followed to ``http(s)``, and from
    ``https`` to ``https`` only; the credentials are not sent there.

    Args:
        url: First part of what :func:`~.url.split_credentials` returns.
        credentials: Second part.

    Returns:
        The answer. Reading it raises TimeoutError if nothing comes for ``TIMEOUT`` seconds or if
        it comes more slowly than ``MIN_RATE``, ConnectionError if there are more than
        ``MAX_BYTES``.

    Raises:
        OSError: If the server cannot be reached, or answers with an error (an HTTPError).
        http.client.HTTPException: If the answer is not HTTP.
        UnicodeError: If the host cannot be the name of one.
    """
    request = Request(url, headers={'User-Agent': 'mmgab', 'Accept-Encoding': 'identity'})
    if credentials:
        user, _, password = credentials.partition(':')
        token = base64.b64encode(f'{unquote(user)}:{unquote(password)}'.encode()).decode()
        request.add_unredirected_header('Authorization', f'Basic {token}')
    return build_opener(_Redirects, _HttpHandler, _HttpsHandler).open(request, timeout=TIMEOUT)


class _Redirects(HTTPRedirectHandler):
    """Follows redirects to ``http(s)``, and from ``https`` to ``https`` only."""

    def redirect_request(
        self, req: Request, fp: IO, code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        fp.close()  # urllib would read the body, however long it is
        scheme = urlsplit(newurl).scheme
        if scheme not in ('http', 'https') or (req.type, scheme) == ('https', 'http'):
            raise URLError(f'the server redirects from {req.type} to {scheme}, not allowed')
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Stream(io.RawIOBase):
    """The bytes of a connection, headers included, within the limits of this module.

    Only the time spent waiting for the server counts.

    Args:
        raw: The connection.
    """

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self._total = 0  # bytes
        self._received, self._waited = 0, 0.0  # bytes and seconds of this window

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: 'WriteableBuffer') -> int:
        start = time.monotonic()
        try:
            count = self._raw.readinto(buffer) or 0
        except TimeoutError:
            raise TimeoutError(f'the server sent nothing for {TIMEOUT:g} s') from None
        self._waited += time.monotonic() - start
        self._received += count
        self._total += count
        self._check()
        return count

    def _check(self) -> None:
        if self._total > MAX_BYTES:
            raise ConnectionError(
                f'the server sent more than {MAX_BYTES / 1e9:.1f} GB, which is the limit'
            )
        if self._waited > RATE_WINDOW:
            if self._received < MIN_RATE * self._waited:
                raise TimeoutError(
                    f'the server sent {self._received} bytes in {self._waited:.1f} s; '
                    f'{MIN_RATE} a second is the minimum'
                )
            self._received, self._waited = 0, 0.0

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fp = io.BufferedReader(_Stream(self.fp.detach()))


class _Connection(HTTPConnection):
    response_class = _Response


class _SecureConnection(HTTPSConnection):
    response_class = _Response


class _HttpHandler(HTTPHandler):
    def http_open(self, req: Request) -> HTTPResponse:
        return self.do_open(_Connection, req)


class _HttpsHandler(HTTPSHandler):
    def https_open(self, req: Request) -> HTTPResponse:
        return self.do_open(_SecureConnection, req)
