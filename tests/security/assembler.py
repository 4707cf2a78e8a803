"""Write pickles opcode by opcode, and put them where checkpoints have theirs."""

import io
import pickle
import struct
import zipfile

import torch

MAGIC = (
    0x1950A86A20F9469CFC6C,
    1001,
    dict(protocol_version=1001, little_endian=True, type_sizes={}),
)


def text(value):
    """A string."""
    content = value.encode()
    return b'X' + struct.pack('<I', len(content)) + content


def named(module, name):
    """A function or class by its name."""
    return f'c{module}\n{name}\n'.encode()


def named_by_stack(module, name):
    """The same in protocol 4, where names may have dots."""
    return text(module) + text(name) + b'\x93'


def items(*values):
    """A tuple."""
    return b'(' + b''.join(values) + b't'


def call(function, *arguments):
    """The result of calling a function."""
    return function + items(*arguments) + b'R'


def dump(value):
    """Any plain value."""
    return pickle.dumps(value, 2)[2:-1]


def program(*parts):
    """A complete pickle."""
    return b'\x80\x02' + b''.join(parts) + b'.'


def as_zip(content, records=(('data/0', bytes(64)),)):
    """A file of today's torch.save with that pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w') as archive:
        archive.writestr('archive/data.pkl', content)
        archive.writestr('archive/byteorder', 'little')
        for name, record in records:
            archive.writestr(f'archive/{name}', record)
        archive.writestr('archive/version', '3\n')
    return file.getvalue()


def as_legacy(content, storages=(('0', bytes(64)),)):
    """A file of torch.save before torch 1.6 with that pickle."""
    head = b''.join(pickle.dumps(part, 2) for part in MAGIC)
    keys = pickle.dumps([key for key, _ in storages], 2)
    behind = b''.join(struct.pack('<q', len(data) // 4) + data for _, data in storages)
    return head + content + keys + behind


def as_first_of_legacy(content):
    """A pickle in the place of the magic number."""
    return content + as_legacy(program(b'}'))


def as_keys_of_legacy(content):
    """A pickle in the place of the list of storages."""
    head = b''.join(pickle.dumps(part, 2) for part in MAGIC)
    return head + program(b'}') + content


CONTAINERS = {
    'zip': as_zip, 'legacy': as_legacy, 'magic': as_first_of_legacy, 'keys': as_keys_of_legacy,
}  # fmt: skip


def storage(key='0', count=16, kind='FloatStorage', view=None):
    """A persistent id of a storage."""
    parts = [text('storage'), named('torch', kind), text(key), text('cpu'), dump(count)]
    return items(*parts, *([dump(view)] if view is not None else [])) + b'Q'


def tensor(size=(4,), stride=(1,), offset=0, store=None, function='_rebuild_tensor_v2'):
    """A tensor that is a view of a storage."""
    parts = [store or storage(), dump(offset), dump(size), dump(stride)]
    if function != '_rebuild_tensor':
        parts += [dump(False), call(named('collections', 'OrderedDict'))]
    return call(named('torch._utils', function), *parts)


def saved(value, **settings):
    """The bytes that torch.save writes."""
    file = io.BytesIO()
    torch.save(value, file, **settings)
    return file.getvalue()
