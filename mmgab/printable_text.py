"""Escaping of external text, such as file names, for logs, pages and terminals."""


def printable(text: str) -> str:
    """Write the characters that cannot be shown as escapes, which leaves one line of valid UTF-8.

    Args:
        text: Any; a file name that is not UTF-8 has surrogates in it, and one may hold line breaks.
    """
    return ''.join(
        character if character.isprintable() else character.encode('unicode_escape').decode()
        for character in text
    )
