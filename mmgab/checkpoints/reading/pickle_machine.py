"""Interpret a pickle's opcodes as plain data, without importing or calling anything it names."""

import pickletools
from argparse import Namespace
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO, Any, ClassVar, NamedTuple

MAX_OPCODES = 3_000_000  # of one pickle; that of a Swin-B with AdamW and its logs has some 50,000
_MAX_INTEGER_BITS = 1024
_COPIES = 16  # bytes that calls may copy for each byte that was read
_FREE_COPIES = 1 << 26  # bytes that they may copy whatever was read
_ITEM_BYTES = 64  # of a container, about
_MAX_KEY = 2**60  # larger integers all collide if their maker wants that; smaller ones less
_MAX_KEYS = 100_000  # that are not strings, of one pickle
_LITERALS = frozenset((
    'BININT', 'BININT1', 'BININT2', 'BINFLOAT', 'BINUNICODE', 'SHORT_BINUNICODE', 'BINUNICODE8',
    'BINBYTES', 'SHORT_BINBYTES', 'BINBYTES8', 'BYTEARRAY8',
))  # fmt: skip
_CONSTANTS = {'NONE': None, 'NEWTRUE': True, 'NEWFALSE': False, 'EMPTY_TUPLE': ()}
_DICTS = (dict, OrderedDict, defaultdict, Counter)
_BYTES = (str, bytes, bytearray)
_CONTAINERS = (list, tuple, dict)
_PYTHON_2 = {'__builtin__': 'builtins', 'copy_reg': 'copyreg'}  # protocol 2 has its module names


class NotPlainDataError(ValueError):
    """A pickle names something that is not plain data, such as a function to be called.

    Args:
        wanted: What it names, or what is wrong with it.
    """

    def __init__(self, wanted: str) -> None:
        super().__init__(wanted)
        self.wanted = wanted


class UnsupportedDataError(ValueError):
    """A valid file holds data of an unsupported type, which the message reports."""


class Named(NamedTuple):
    """A function or class that a pickle may name.

    Attributes:
        name: Module and qualified name.
        make: mmgab's function that makes plain data from the file's arguments; None if it is only
            named, such as the class of an array.
    """

    name: str
    make: Callable | None = None


class PickleMachine:
    """A stack machine for the opcodes that valid checkpoints have (protocols 2 to 5).

    Python's own unpickler imports and calls what a pickle names. This one looks the name up in a
    table of mmgab's own functions; any other name raises an error.

    Args:
        names: What may be named: plain data, and :class:`Named` for what may be called.
        builders: By the type of a value that was made: takes the value and its state in the file,
            returns the finished value.
        load_persistent: Returns the storage that a persistent id stands for.
    """

    def __init__(
        self,
        names: Mapping[str, object],
        builders: Mapping[type, Callable],
        load_persistent: Callable[[object], object],
    ) -> None:
        self._names = names
        self._builders = builders
        self._load_persistent = load_persistent

    def run(self, stream: IO[bytes]) -> object:
        """Interpret one pickle.

        Args:
            stream: At its first opcode; it is left behind the last one.

        Returns:
            What the pickle describes; see :func:`~.plain_data.check_plain`.

        Raises:
            NotPlainDataError: If it names something that is not in the table.
            Exception: Of nearly any kind, if it is damaged.
        """
        self._stack: list = []
        self._outer: list[list] = []  # stacks below the marks
        self._memo: dict[int, object] = {}
        self._memo_keys: dict[int, int] = {}  # of values that may still be built, by their id
        self._stream, self._start, self._copied, self._keys = stream, stream.tell(), 0, 0
        self._made: list = []  # mutable values that calls made
        for number, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            name = opcode.name
            if number == MAX_OPCODES:
                raise ValueError(f'its pickle has more than {MAX_OPCODES} opcodes')
            if name in _LITERALS:
                self._stack.append(argument)
            elif name in _CONSTANTS:
                self._stack.append(_CONSTANTS[name])
            elif name == 'STOP':
                break
            else:
                _handler_of(name)(self, argument)
        (value,) = self._stack
        if self._outer:
            raise ValueError('its pickle ends inside a mark')
        return value

    def dismantle(self) -> None:
        """Clear the values that were made of a rejected pickle.

        Python frees nested values of some classes recursively; 100,000 levels end the process.
        """
        for value in self._made:
            (value if isinstance(value, dict) else vars(value)).clear()

    def _pop_mark(self) -> list:
        items, self._stack = self._stack, self._outer.pop()
        return items

    def _mark(self, _: object) -> None:
        self._outer.append(self._stack)
        self._stack = []

    def _ignore(self, _: object) -> None:
        pass

    def _protocol(self, number: int) -> None:
        if number not in range(2, 6):
            raise ValueError(f'its pickle has protocol {number}, 2 to 5 can be read')

    def _integer(self, number: int) -> None:
        if number.bit_length() > _MAX_INTEGER_BITS:
            raise ValueError(f'it has an integer of {number.bit_length()} bits')
        self._stack.append(number)

    def _old_text(self, text: str) -> None:
        """Text of Python 2, whose bytes pickletools reads as Latin-1."""
        with suppress(UnicodeDecodeError):
            text = text.encode('latin-1').decode()
        self._stack.append(text)

    def _tuple(self, _: object) -> None:
        items = tuple(self._pop_mark())
        self._stack.append(items)

    def _short_tuple(self, length: int) -> None:
        items = tuple(self._stack[-length:])
        if len(items) < length:
            raise IndexError('stack underflow')
        self._stack[-length:] = [items]

    def _append(self, _: object) -> None:
        self._extend([self._stack.pop()])

    def _appends(self, _: object) -> None:
        self._extend(self._pop_mark())

    def _extend(self, items: list) -> None:
        self._target(list).extend(items)

    def _add_items(self, _: object) -> None:
        items = self._checked_keys(self._pop_mark())
        self._target(set).update(items)

    def _frozen_set(self, _: object) -> None:
        items = self._checked_keys(self._pop_mark())
        self._stack.append(frozenset(items))

    def _set_item(self, _: object) -> None:
        value = self._stack.pop()
        self._update([self._stack.pop(), value])

    def _set_items(self, _: object) -> None:
        self._update(self._pop_mark())

    def _update(self, items: list) -> None:
        target = self._target(*_DICTS)
        for key, value in zip(self._checked_keys(items[::2]), items[1::2], strict=True):
            target[key] = value

    def _checked_keys(self, keys: list) -> list:
        self._keys += sum(type(key) is not str for key in keys)
        if self._keys > _MAX_KEYS:
            raise ValueError(f'its pickle has more than {_MAX_KEYS} keys that are not strings')
        return checked_keys(keys)

    def _target(self, *types: type) -> Any:
        target = self._stack[-1]
        if type(target) not in types:
            raise TypeError(f'its pickle adds items to a {type(target).__name__}')
        return target

    def _put(self, index: int) -> None:
        self._memo[index] = value = self._stack[-1]
        if type(value) in self._builders:
            self._memo_keys[id(value)] = index

    def _memoize(self, _: object) -> None:
        self._put(len(self._memo))

    def _get(self, index: int) -> None:
        self._stack.append(self._memo[index])

    def _global(self, name: str) -> None:
        module, _, qualified = name.partition(' ')
        name = f'{_PYTHON_2.get(module, module)}.{qualified}'
        if name not in self._names:
            raise NotPlainDataError(name)
        self._stack.append(self._names[name])

    def _stack_global(self, _: object) -> None:
        qualified, module = self._stack.pop(), self._stack.pop()
        self._global(f'{module} {qualified}')

    def _call(self, _: object) -> None:
        arguments, named = self._stack.pop(), self._stack.pop()
        if type(named) is not Named or type(arguments) is not tuple:
            raise NotPlainDataError(f'a call of a {type(named).__name__}')
        if named.make is None:
            raise NotPlainDataError(f'a call of {named.name}')
        self._count_copies(arguments)
        value = named.make(*arguments)
        if isinstance(value, (dict, Namespace)):
            self._made.append(value)
        self._stack.append(value)

    def _build(self, _: object) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        if type(target) not in self._builders:
            raise NotPlainDataError(f'the state of a {type(target).__name__}')
        self._count_copies(state if type(state) is tuple else (state,))
        value = self._builders[type(target)](target, state)
        if value is not target:
            self._stack[-1] = value
            if (index := self._memo_keys.pop(id(target), None)) is not None:
                self._memo[index] = value

    def _count_copies(self, values: tuple) -> None:
        """Limit the bytes that calls copy from parts that a pickle refers to often."""
        for value in values:
            if isinstance(value, _BYTES):
                self._copied += len(value)
            elif isinstance(value, _CONTAINERS):
                self._copied += _ITEM_BYTES * len(value)
        read = self._stream.tell() - self._start
        if self._copied > _FREE_COPIES + _COPIES * read:
            raise ValueError(f'its pickle expands {read} bytes to {self._copied}')

    def _persistent(self, _: object) -> None:
        self._stack.append(self._load_persistent(self._stack.pop()))

    _HANDLERS: ClassVar[dict[str, Callable[..., None]]] = {
        'PROTO': _protocol, 'FRAME': _ignore, 'MARK': _mark, 'LONG1': _integer, 'LONG4': _integer,
        'BINSTRING': _old_text, 'SHORT_BINSTRING': _old_text,
        'TUPLE': _tuple, 'APPEND': _append, 'APPENDS': _appends, 'ADDITEMS': _add_items,
        'FROZENSET': _frozen_set, 'SETITEM': _set_item, 'SETITEMS': _set_items,
        'TUPLE1': lambda self, _: self._short_tuple(1),
        'TUPLE2': lambda self, _: self._short_tuple(2),
        'TUPLE3': lambda self, _: self._short_tuple(3),
        'EMPTY_LIST': lambda self, _: self._stack.append([]),
        'EMPTY_DICT': lambda self, _: self._stack.append({}),
        'EMPTY_SET': lambda self, _: self._stack.append(set()),
        'BINPUT': _put, 'LONG_BINPUT': _put, 'MEMOIZE': _memoize,
        'BINGET': _get, 'LONG_BINGET': _get, 'GLOBAL': _global, 'STACK_GLOBAL': _stack_global,
        'REDUCE': _call, 'NEWOBJ': _call, 'BUILD': _build, 'BINPERSID': _persistent,
    }  # fmt: skip


def _handler_of(opcode: str) -> Callable[..., None]:
    handler = PickleMachine._HANDLERS.get(opcode)
    if handler is None:
        raise NotPlainDataError(f'the pickle opcode {opcode}, which no checkpoint needs')
    return handler


def checked_keys(values: list) -> list:
    """Check values that are to be keys of a dict or members of a set.

    Python's hashes of numbers and tuples can be made to collide; one file would take hours.

    Raises:
        ValueError: If there are more than 100,000 numbers, or larger ones than 60 bits.
        TypeError: If one is of another type.
    """
    if sum(type(value) is not str for value in values) > _MAX_KEYS:
        raise ValueError(f'it has more than {_MAX_KEYS} keys that are not strings')
    for value in values:
        if type(value) is int and not -_MAX_KEY < value < _MAX_KEY:
            raise ValueError('it has an integer of more than 60 bits as a key')
        if type(value) not in (str, bytes, int, float, bool, type(None)):
            raise TypeError(f'it has a {type(value).__name__} as a key')
    return values
