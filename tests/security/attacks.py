"""Files that want code to run, memory to be read or filled, or a process to hang or crash.

Every program that runs code makes a file, whose name is the word ``MARKER`` here.
"""

import pickle
import struct

from .assembler import (
    CONTAINERS,
    as_zip,
    call,
    dump,
    items,
    named,
    named_by_stack,
    program,
    text,
)

MARKER = 'MARKER'
SHELL = text(f'touch {MARKER}')
PYTHON = text(f"open('{MARKER}', 'w').close()")
NESTED = pickle.dumps(dict(a=1))
HISTORY = named('mmengine.logging.history_buffer', 'HistoryBuffer')
GETATTR = named('__builtin__', 'getattr')
EXEC = named('__builtin__', 'exec')
DTYPE = named('numpy', 'dtype')


def inside(value):
    """A state dict with an additional value."""
    return program(b'}(' + text('meta') + value + text('state_dict') + b'}u')


def attribute(of, name):
    return call(GETATTR, of, text(name))


BUILTINS = attribute(GETATTR, '__self__')
OBJECT_DTYPE = call(DTYPE, text('O8'), dump(False), dump(True))
METADATA_DTYPE = call(DTYPE, text('M8'), dump(False), dump(True)) + dump(
    (4, '<', None, None, None, -1, -1, 0, ({}, (b'ns', 1, 1, 1)))
) + b'b'  # fmt: skip

CALLS = {
    'os.system': call(named('os', 'system'), SHELL),
    'posix.system': call(named('posix', 'system'), SHELL),
    'nt.system': call(named('nt', 'system'), SHELL),
    'subprocess': call(named('subprocess', 'check_output'), dump(['touch', MARKER])),
    'popen': call(named('subprocess', 'Popen'), dump(['touch', MARKER])),
    'exec': call(EXEC, PYTHON),
    'exec by its module in Python 3': call(named('builtins', 'exec'), PYTHON),
    'eval': call(named('builtins', 'eval'), PYTHON),
    'compile': call(named('builtins', 'compile'), PYTHON, text('a'), text('exec')),
    'open': call(named('io', 'open'), text(MARKER), text('w')),
    'import': call(named('builtins', '__import__'), text('antigravity')),
    'importlib': call(named('importlib', 'import_module'), text('this')),
    'runpy': call(named('runpy', 'run_module'), text('this')),
    'pickle in a pickle': call(named('pickle', 'loads'), dump(NESTED)),
    '_pickle in a pickle': call(named('_pickle', 'loads'), dump(NESTED)),
    'torch in a pickle': call(named('torch.storage', '_load_from_bytes'), dump(NESTED)),
    'torch.load': call(named('torch', 'load'), text('evil.pth')),
    'torch.hub': call(named('torch.hub', 'load'), text('a/b'), text('c')),
    'torch.jit': call(named('torch.jit', 'load'), text('evil.pth')),
    'torch._inductor': call(named('torch._inductor.codecache', 'compile_file'), PYTHON),
    'a name in a module that is allowed': call(named('torch', 'os.system'), SHELL),
    'a dotted name': call(named_by_stack('torch', 'os.system'), SHELL),
    'a dotted name in an allowed class': call(
        named_by_stack('collections', 'OrderedDict.__init__.__globals__'), SHELL
    ),
    'a method of an allowed class': call(named_by_stack('argparse', 'Namespace.__init__'), SHELL),
    'another method of a history': call(
        named_by_stack('mmengine.logging.history_buffer', 'HistoryBuffer.register_statistics'),
        EXEC,
    ),
    'partial': call(named('functools', 'partial'), named('os', 'system'), SHELL),
    'reduce': call(named('functools', 'reduce'), EXEC, dump([1])),
    'methodcaller': call(named('operator', 'methodcaller'), text('system'), SHELL),
    'attrgetter': call(named('operator', 'attrgetter'), text('__class__')),
    'code': call(named('types', 'CodeType')),
    'function': call(named('types', 'FunctionType')),
    'timeit': call(named('timeit', 'timeit'), PYTHON),
    'pdb': call(named('pdb', 'run'), PYTHON),
    'pty': call(named('pty', 'spawn'), text('sh')),
    'bdb': call(named('bdb', 'Bdb.run'), PYTHON),
    'cProfile': call(named('cProfile', 'run'), PYTHON),
    'ctypes': call(named('ctypes', 'CDLL'), text('libc.so.6')),
    'rmtree': call(named('shutil', 'rmtree'), text('.')),
    'touch': call(attribute(named('pathlib', 'Path'), 'touch'), text(MARKER)),
    'touch by its name': call(named_by_stack('pathlib', 'Path.touch'), text(MARKER)),
    'numpy.load': call(named('numpy', 'load'), text('evil.npy'), dump(None), dump(True)),
    'numpy.f2py': call(named('numpy.f2py.crackfortran', 'getlincoef'), PYTHON, dump({})),
    'numpy runstring': call(named('numpy.testing._private.utils', 'runstring'), PYTHON, dump({})),
    'mmengine config': call(named('mmengine.config', 'Config.fromstring'), PYTHON, text('.py')),
    'mmengine file': call(named('mmengine.config', 'Config.fromfile'), text('evil.py')),
    'mmengine import': call(
        named('mmengine.utils', 'import_modules_from_strings'), dump(['this'])
    ),
    'our own reader': call(named('mmgab.checkpoints', 'read_checkpoint'), text('a'), dump(True)),
    'logging': call(named('logging.config', 'fileConfig'), text('evil.ini')),
    'socket': call(named('socket', 'create_connection'), dump(('127.0.0.1', 9))),
    'webbrowser': call(named('webbrowser', 'open'), text('http://127.0.0.1:9')),
    'reconstructor': call(named('copy_reg', '_reconstructor'), HISTORY, HISTORY, dump(None)),
    'newobj': call(named('copy_reg', '__newobj__'), named('os', 'system')),
    'getattr of getattr': attribute(BUILTINS, 'exec') + items(PYTHON) + b'R',
    'getattr of a history': attribute(attribute(HISTORY, '__init__'), '__globals__'),
    'getattr of an array class': attribute(named('numpy', 'ndarray'), '__reduce__'),
    'getattr with a default': call(GETATTR, HISTORY, text('mean'), EXEC),
    'a call of a statistic': attribute(HISTORY, 'mean') + b')R',
    'a class as its own state setter': HISTORY + b')\x81' + b'}' + text('__setstate__') + EXEC
    + b's' + b'b' + PYTHON + b'b',
    'a dict as its own state setter': call(named('collections', 'OrderedDict')) + b'}'
    + text('__setstate__') + EXEC + b'sb' + PYTHON + b'b',
    'a state of a class': HISTORY + b'}' + text('mean') + EXEC + b'sb',
    'another class by a state': named('argparse', 'Namespace') + b')\x81}' + text('__class__')
    + EXEC + b'sb',
    'slots of a state': named('argparse', 'Namespace') + b')\x81' + items(
        b'}', b'}' + text('__class__') + HISTORY + b's'
    ) + b'b',
    'a tensor of a type': call(
        named('torch._tensor', '_rebuild_from_type_v2'), named('builtins', 'eval'),
        named('torch', 'Tensor'), items(PYTHON), dump({}),
    ),
    'a tensor made by getattr': call(
        named('torch._tensor', '_rebuild_from_type_v2'), GETATTR, named('torch', 'Tensor'),
        items(HISTORY, text('mean')), dump({}),
    ),
    'a wrapper subclass': call(named('torch._utils', '_rebuild_wrapper_subclass'), HISTORY),
    'a module with its source': items(text('module'), HISTORY, text('a.py'), PYTHON) + b'Q',
    'a persistent id that calls': items(text('storage'), EXEC, PYTHON) + b'Q',
    'a default factory': call(named('collections', 'defaultdict'), EXEC),
    'a default factory of a system call': call(
        named('collections', 'defaultdict'), named('os', 'getpid')
    ),
    'an array of objects': call(
        named('numpy.core.multiarray', '_reconstruct'), named('numpy', 'ndarray'), dump((0,)),
        dump('b'),
    ) + items(dump(1), dump((1,)), OBJECT_DTYPE, dump(False), dump('AAAAAAAA')) + b'b',
    'an object out of bytes': call(
        named('numpy.core.multiarray', 'scalar'), OBJECT_DTYPE, dump('AAAAAAAA')
    ),
    'an array made by its class': call(
        named('numpy', 'ndarray'), dump((1,)), OBJECT_DTYPE, dump('AAAAAAAA')
    ),
    'dates with a pickle inside': call(
        named('numpy._core.multiarray', 'scalar'), METADATA_DTYPE, dump('AAAAAAAA')
    ),
    'another codec': call(named('_codecs', 'encode'), text('x'), text('zip')),
    'a codec by its name': call(named('codecs', 'encode'), text('x'), text('rot13')),
    'a class that is left as data': named('os', 'system'),
    'an allowed class that is left as data': HISTORY,
    'an allowed function that is left as data': named('torch._utils', '_rebuild_tensor_v2'),
    'instance by text': b'(' + SHELL + b'ios\nsystem\n',
    'object by mark': b'(' + named('os', 'system') + SHELL + b'o',
    'new object with keywords': named('argparse', 'Namespace') + b')}' + text('a') + EXEC
    + b's\x92',
    'an extension code': b'\x82\x01',
    'a persistent id by text': b'Pevil\n',
    'a list of arguments': EXEC + b'](' + PYTHON + b'eR',
    'a call of a result': call(named('collections', 'OrderedDict')) + items(PYTHON) + b'R',
    'a class that is no class': call(named('builtins', 'type'), text('A'), b')', b'}'),
    'numbers as text': b'I1\n0(d',
}  # fmt: skip


def programs():
    """Pickles that want code to run, by name and container."""
    for name, value in CALLS.items():
        for container, wrap in CONTAINERS.items():
            yield f'{name} ({container})', wrap(inside(value))
        yield f'{name} (on top)', as_zip(program(value))


def raw_programs():
    """Bare pickle files, as Python's pickle module writes them."""
    for name in ('os.system', 'exec', 'getattr of getattr'):
        yield f'{name} (raw)', program(CALLS[name])
        yield f'{name} (raw, protocol 4)', b'\x80\x04\x95' + struct.pack('<Q', 99) + CALLS[name]
        yield f'{name} (raw, no protocol)', CALLS[name] + b'.'
