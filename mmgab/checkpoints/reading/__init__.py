"""Read checkpoint files as data, without importing, calling or executing their contents."""

from .pickle_machine import NotPlainDataError, UnsupportedDataError
from .pytorch_file import read_legacy, read_zip
from .safetensors_file import read_safetensors, write_safetensors
from .zip_archive import ZipArchive

__all__ = [
    'NotPlainDataError',
    'UnsupportedDataError',
    'ZipArchive',
    'read_legacy',
    'read_safetensors',
    'read_zip',
    'write_safetensors',
]
