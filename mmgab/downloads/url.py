"""Split credentials off URLs, and redact secrets from text."""

import re
import string
from urllib.parse import quote, urlsplit


def split_credentials(url: str) -> tuple[str, str]:
    """Split ``user:password@`` off an ``http(s)`` URL.

    Returns:
        The URL, percent-encoded where that is needed, and the credentials, empty if it has none.

    Raises:
        ValueError: If its scheme, host or port is invalid.
    """
    try:
        encoded = quote(url, safe=string.punctuation)
        parts = urlsplit(encoded)
        is_valid = parts.scheme in ('http', 'https') and parts.hostname and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid:  # where its password ends cannot be known: only the last part is printed
        name = re.split('[/@]', url.partition('?')[0])[-1]
        raise ValueError(
            f'the URL of {name!r} has an invalid scheme, host or port; http(s)://HOST/PATH is '
            'allowed, with the characters / ? # of a user or password percent-encoded'
        )
    credentials, at, _ = parts.netloc.rpartition('@')
    return encoded.replace(f'{credentials}{at}', '', 1), credentials


def redact(text: str) -> str:
    """Remove the credentials and the queries of URLs from a text, so that it may be printed."""
    text = re.sub(r'(https?://)[^/?#\s]*@', r'\1', text, flags=re.IGNORECASE)
    return re.sub(r'\?\S+', '?...', text)
