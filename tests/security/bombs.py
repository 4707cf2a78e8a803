"""Files that claim more than they hold, or take more time or memory than they should."""

import io
import json
import pickle
import struct
import zipfile

import torch

from .assembler import (
    MAGIC,
    as_legacy,
    as_zip,
    call,
    dump,
    items,
    named,
    program,
    saved,
    storage,
    tensor,
    text,
)
from .attacks import inside

HUGE = 2**62
ARRAY = call(
    named('numpy.core.multiarray', '_reconstruct'), named('numpy', 'ndarray'), dump((0,)), dump('b')
)  # fmt: skip


def dtype(code):
    order = dump((3, '<', None, None, None, -1, -1, 0)) + b'b'
    return call(named('numpy', 'dtype'), text(code), dump(False), dump(True)) + order


def array(shape, code, content):
    data = call(named('_codecs', 'encode'), text(content), text('latin1'))
    return ARRAY + items(dump(1), dump(shape), dtype(code), dump(False), data) + b'b'


VIEWS = {
    'twenty thousand dimensions': tensor(size=(1,) * 20_000, stride=(1,) * 20_000),
    'offset behind the storage': tensor(offset=13),
    'offset far behind': tensor(offset=HUGE),
    'negative offset': tensor(offset=-4),
    'size beyond the storage': tensor(size=(17,)),
    'size far beyond': tensor(size=(HUGE,)),
    'negative size': tensor(size=(-1,)),
    'stride beyond the storage': tensor(size=(2, 2), stride=(15, 1)),
    'negative stride': tensor(offset=3, stride=(-1,)),
    'stride that overflows': tensor(size=(2,), stride=(HUGE * 2,)),
    'product that overflows': tensor(size=(2**32, 2**32), stride=(0, 0)),
    'stride 0 of a trillion': tensor(size=(2**40,), stride=(0,)),
    'two strides 0': tensor(size=(2**20, 2**20), stride=(0, 0)),
    'more strides than sizes': tensor(size=(2,), stride=(1, 1)),
    'more sizes than strides': tensor(size=(2, 2), stride=(1,)),
    'size that is a float': tensor(size=(1.0,)),
    'size that is a text': tensor(size='22', stride='11'),
    'size that is a bool': tensor(size=(True,)),
    'zero elements far outside': tensor(size=(0,), offset=HUGE),
    'storage of another size': tensor(store=storage(count=17)),
    'storage of twice the bytes': tensor(store=storage(kind='DoubleStorage')),
    'storage of a trillion': tensor(store=storage(count=2**40)),
    'storage of negative size': tensor(store=storage(count=-16)),
    'storage that is not there': tensor(store=storage(key='7')),
    'storage outside of the archive': tensor(store=storage(key='../../etc/passwd')),
    'storage that is the program': tensor(store=storage(key='../data.pkl')),
    'view of a storage': tensor(store=storage(view=('x', 15, 100))),
    'no storage': tensor(store=dump(1)),
    'old tensor outside': tensor(size=(99,), function='_rebuild_tensor'),
    'parameter of a number': call(
        named('torch._utils', '_rebuild_parameter'), dump(1), dump(True), dump(None)
    ),
    'gradient of integers': call(
        named('torch._utils', '_rebuild_tensor_v2'), storage(kind='IntStorage'), dump(0),
        dump((4,)), dump((1,)), dump(True), dump(None),
    ),
    'dtype larger than its storage': call(
        named('torch._utils', '_rebuild_tensor_v3'), storage(), dump(0), dump((16,)), dump((1,)),
        dump(False), dump(None), named('torch', 'complex128'),
    ),
    'array with too few bytes': array((9,), 'f8', 'abc'),
    'array of a trillion': array((2**40,), 'f8', 'abc'),
    'array of nothing, a trillion times': array((2**40,), 'S0', ''),
    'array of a negative shape': array((-1, -8), 'u1', 'abcdefgh'),
    'array of an enormous item': array((1,), f'S{2**31 - 1}', 'a'),
    'number of too many bytes': call(
        named('numpy.core.multiarray', 'scalar'), dtype('f8'), dump(b'ab')
    ),
    'bytes of a trillion': call(named('builtins', 'bytes'), dump(10**12)),
    'bytearray of a trillion': call(named('builtins', 'bytearray'), dump(10**12)),
    'history of a text': named('mmengine.logging.history_buffer', 'HistoryBuffer') + b')\x81'
    + dump(dict(_log_history='ab', _count_history='ab', max_length=9)) + b'b',
    'history longer than its limit': named('mmengine.logging.history_buffer', 'HistoryBuffer')
    + b')\x81}(' + text('_log_history') + array((2,), 'u1', 'ab') + text('_count_history')
    + array((2,), 'u1', 'ab') + text('max_length') + dump(1) + b'ub',
}  # fmt: skip

PICKLES = {
    'list in itself': b']q\x00h\x00a',
    'dict in itself': b'}q\x00' + text('a') + b'h\x00s',
    'state dict in itself': b'}q\x00' + text('state_dict') + b'h\x00s',
    'dicts in each other': b'}q\x00' + text('model') + b'}' + text('model') + b'h\x00ss',
    'lists nested 100,000 deep': b']' * 100_000 + b'a' * 99_999,
    'tuples nested 100,000 deep': b')' + b'\x85' * 100_000,
    'dicts nested 100,000 deep': b'}' + (text('a') + b'}') * 100_000 + b's' * 100_000,
    'key nested 100,000 deep': b'})' + b'\x85' * 100_000 + b'Ns',
    **{
        f'{kind} nested 100,000 deep': b']' + named(module, kind) + b'q\x00a'
        + (b'h\x00)R' + text('a')) * 100_000 + b'N' + b's' * 100_000 + b'a'
        for module, kind in (
            ('collections', 'defaultdict'), ('collections', 'OrderedDict'),
            ('collections', 'Counter'), ('mmengine.config.config', 'ConfigDict'),
        )
    },
    'namespaces nested 100,000 deep': b']' + named('argparse', 'Namespace') + b'q\x00a'
    + (b'h\x00)R}' + text('a')) * 100_000 + b'N' + b'sb' * 100_000 + b'a',
    'marks nested a million deep': b'(' * 1_000_000,
    'a tuple of two of the one before, 100 times': b')q\x00'
    + b''.join(b'h\x00h\x00\x86q\x00' for _ in range(100)),
    'four million items': b']' + b'(' + b'N' * 4_000_000 + b'e',
    'three million sets': b'](' + b'\x8f' * 3_000_001 + b'e',
    'text of 4 GB': b'X\xff\xff\xff\xffabc',
    'text of 2**60 bytes': b'\x8d' + struct.pack('<Q', 2**60) + b'abc',
    'bytes of 2**60': b'\x8e' + struct.pack('<Q', 2**60) + b'abc',
    'number of a billion bits': b'\x8b' + struct.pack('<I', 10**8) + b'\x7f' * 10**6,
    'number of 100,000 digits': b'\x8b' + struct.pack('<I', 10**5) + b'\x7f' * 10**5,
    'what is not in the memo': b'h\x07',
    'empty stack': b'',
    'two results': b'}}',
    'no mark': b'Nt',
    'a megabyte that is copied 10,000 times': call(named('_codecs', 'encode'), text('a' * 10**6),
    text('latin1')) + b'q\x000](' + call(named('builtins', 'bytearray'), b'h\x00') * 10_000 + b'e',
    'a text that is encoded 10,000 times': text('a' * 10**6) + b'q\x000](' + call(
        named('_codecs', 'encode'), b'h\x00', text('latin1')) * 10_000 + b'e',
    'a list of which 900 sets are made': b'](' + b''.join(dump(i) for i in range(20_000))
    + b'eq\x000](' + call(named('builtins', 'set'), b'h\x00') * 900 + b'e',
    'a tensor that is there four million times': tensor() + b'q\x000](' + b'h\x00' * 1_000_000
    + b'eq\x01h\x01\x86h\x01\x86h\x01\x86',
    'a list of which 10,000 sets are made': b'](' + b''.join(dump(i) for i in range(50_000))
    + b'eq\x000](' + call(named('builtins', 'set'), b'h\x00') * 10_000 + b'e',
    'keys that collide': b'}(' + b''.join(dump(k * (2**61 - 1)) + b'N' for k in range(1, 20_000))
    + b'u',
    'half a million numbers as keys': b'}(' + b''.join(
        dump(k * 997) + b'N' for k in range(500_000)) + b'u',
    'a key without a value': b'}(' + text('a') + b'u',
    'items for a number': dump(1) + b'(NNu',
    'a list as a key': b'}]Ns',
    'a program without an end': b'}' + text('a'),
    'protocol 77': b'\x80\x4d}',
}  # fmt: skip


HARMLESS = {
    'sixty-four dimensions': inside(tensor(size=(1,) * 64, stride=(1,) * 64)),
    'memo of 2**31': program(b'}r\xff\xff\xff\x7f'),
    'a stride of 0': inside(tensor(size=(1000,), stride=(0,))),
}


def bombs():
    """Files by name, in both formats where that makes a difference."""
    for name, value in VIEWS.items():
        yield f'{name} (zip)', as_zip(inside(value))
        yield f'{name} (legacy)', as_legacy(inside(value))
    for name, value in PICKLES.items():
        yield f'{name} (zip)', as_zip(program(value))
        yield f'{name} (legacy)', as_legacy(program(value))
    yield from zip_bombs()
    yield from legacy_bombs()
    yield from safetensors_bombs()


def _rewritten(**changes):
    """A sound archive whose directory contradicts the weights."""
    content = bytearray(saved(dict(state_dict=dict(weight=torch.arange(64.0)))))
    entry = content.rindex(b'archive/data/0') - 46
    for place, (layout, value) in changes.values():
        struct.pack_into(layout, content, entry + place, value)
    return bytes(content)


def zip_bombs():
    """Archives that PyTorch never writes."""
    yield 'record marked as a folder', _rewritten(attributes=(38, ('<I', 0x10)))
    yield 'record marked as a link', _rewritten(attributes=(38, ('<I', 0xA1FF << 16)))
    yield 'record with another checksum', _rewritten(crc=(16, ('<I', 12345)))
    yield 'record that is encrypted', _rewritten(flags=(8, ('<H', 1)))
    yield 'record of another method', _rewritten(method=(10, ('<H', 8)))
    yield 'record of another size', _rewritten(size=(24, ('<I', 512)))
    yield 'record of two other sizes', _rewritten(packed=(20, ('<I', 512)), size=(24, ('<I', 512)))
    yield 'record of 4 GB', _rewritten(packed=(20, ('<I', 2**32 - 2)), size=(24, ('<I', 2**32 - 2)))
    yield 'record elsewhere', _rewritten(offset=(42, ('<I', 2**31)))
    good = inside(tensor(size=(16,)))
    deflated = io.BytesIO()
    with zipfile.ZipFile(deflated, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('archive/data.pkl', inside(tensor(store=storage(count=2**26))))
        archive.writestr('archive/data/0', bytes(2**28))
    yield 'a quarter of a gigabyte in 260 kB', deflated.getvalue()
    twice = io.BytesIO(as_zip(good))
    with zipfile.ZipFile(twice, 'a') as archive:
        archive.writestr('archive/data/0', bytes(range(64)))
    yield 'two records of one name', twice.getvalue()
    yield 'records in two folders', as_zip(good).replace(b'archive/byteorder', b'brchive/byteorder')
    yield 'no program', as_zip(good).replace(b'data.pkl', b'data.pkk')
    yield 'a record of its own folder', as_zip(good, [('data/0', bytes(64)), ('data/', b'')])
    yield 'TorchScript', as_zip(good, [('data/0', bytes(64)), ('constants.pkl', b'')])
    yield 'byte order of a megabyte', as_zip(good).replace(b'little', b'\0' * 6)
    yield 'an empty archive', b'PK\x05\x06' + bytes(18)
    yield 'records that overlap', _overlapping()
    yield 'a second archive behind', as_zip(good) + as_zip(good)
    yield 'a second archive in the comment', _with_comment(as_zip(good), as_zip(good))
    yield 'bytes behind the directory', as_zip(good) + bytes(9)
    yield 'bytes between directory and end', as_zip(good)[:-22] + bytes(9) + as_zip(good)[-22:]
    renamed = bytearray(as_zip(good))
    renamed[renamed.rindex(b'archive/byteorder') + 12] ^= 1
    yield 'another name in the directory', bytes(renamed)


def _with_comment(content, comment):
    return content[:-2] + struct.pack('<H', len(comment)) + comment


def _overlapping():
    """A thousand records that are the same 64 kB."""
    parts = b''.join(text(f'{i}') + tensor((2**14,), store=storage(str(i), 2**14))
                     for i in range(1000))  # fmt: skip
    content = as_zip(program(b'}(' + parts + b'u'), [('data/0', bytes(2**16))])
    start = content.rindex(b'archive/data/0') - 46
    entry = content[start : start + 46]
    more = b''.join(
        entry[:28] + struct.pack('<H', len(name)) + entry[30:] + name
        for name in (f'archive/data/{i}'.encode() for i in range(1, 1000))
    )
    end = content.rindex(b'PK\x05\x06')
    tail = bytearray(content[end:])
    count = struct.unpack_from('<H', tail, 8)[0] + 999
    struct.pack_into('<HH', tail, 8, count, count)
    struct.pack_into('<I', tail, 12, struct.unpack_from('<I', tail, 12)[0] + len(more))
    return content[:end] + more + bytes(tail)


def legacy_bombs():
    """Files of the old format whose parts do not belong together."""
    good = inside(tensor(size=(16,)))
    yield 'no storages behind', as_legacy(good, [])
    yield 'storage that nobody named', as_legacy(good, [('0', bytes(64)), ('9', bytes(64))])
    yield 'storage that is there twice, cut', as_legacy(good, [('0', bytes(64))])[:-9]
    yield 'storage of another length', as_legacy(good, [('0', bytes(32))])
    head = as_legacy(good)
    yield 'storage of 2**60 elements', head[:-72] + struct.pack('<q', 2**60) + bytes(64)
    yield 'storage of -16 elements', head[:-72] + struct.pack('<q', -16) + bytes(64)
    start = b''.join(pickle.dumps(part, 2) for part in MAGIC)
    yield 'keys that are a number', start + good + program(dump(7))
    yield 'keys that are lists', start + good + program(b']]a')
    yield 'head alone', start
    yield 'another magic number', pickle.dumps(1, 2) + start
    yield 'system that is a number', b''.join(pickle.dumps(p, 2) for p in (*MAGIC[:2], 3)) + good
    yield 'a tar file', b'././@PaxHeader' + bytes(600)


def safetensors_bombs():
    """Headers that contradict the data behind them."""

    def file(header, content=bytes(64)):
        header = header if isinstance(header, bytes) else json.dumps(header).encode()
        return struct.pack('<Q', len(header)) + header + content

    def entry(dtype='F32', shape=(16,), offsets=(0, 64)):
        return dict(dtype=dtype, shape=list(shape), data_offsets=list(offsets))

    yield 'header of 2**60 bytes', struct.pack('<Q', 2**60) + b'{}'
    yield 'tensor beyond the file', file(dict(a=entry(shape=(2**20,), offsets=(0, 2**22))))
    yield 'shape that does not fit', file(dict(a=entry(shape=(17,))))
    yield 'shape that overflows', file(dict(a=entry(shape=(2**32, 2**32))))
    yield 'negative shape', file(dict(a=entry(shape=(-16,))))
    yield 'offsets backwards', file(dict(a=entry(offsets=(64, 0))))
    yield 'tensors that overlap', file(dict(a=entry(), b=entry()))
    yield 'a gap', file(dict(a=entry(shape=(4,), offsets=(48, 64))))
    yield 'another dtype', file(dict(a=entry(dtype='OBJECT')))
    yield 'header nested 100,000 deep', file(b'{"a":' * 100_000)
    yield (
        'name that is there twice',
        file(
            b'{"a":{"dtype":"F32","shape":[16],"data_offsets":[0,64]},'
            b'"a":{"dtype":"F32","shape":[16],"data_offsets":[0,64]}}'
        ),
    )
    yield 'hash without digits', file(dict(__metadata__=dict(sha256=''), a=entry()))
    yield 'hash of something else', file(dict(__metadata__=dict(sha256='0' * 63 + '1'), a=entry()))
