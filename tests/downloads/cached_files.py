"""Inspect a folder of downloads."""

import hashlib

from mmgab.downloads.download import file_sha256


def names(folder):
    return [path.name for path in folder.iterdir()] if folder.exists() else []


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def is_here(digest):
    """A structural check that knows one file."""

    def check(path):
        if file_sha256(path) != digest:
            raise ValueError(f'{path.name} is damaged')

    return check
