"""What a checkpoint file holds: a Swin, in whatever it is wrapped, and the rest of the model."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from mmgab.functional import table_window

from .conversion import find_swins, to_openmmlab
from .layouts import HEAD, TABLE, Layout

# Where several are in one file, the first one counts: what was meant for evaluation.
_WRAPPERS = ('state_dict', 'teacher', 'model', 'state_dict_ema', 'model_ema', 'ema', 'student')
_AVERAGED = ('teacher.', 'ema.')


@dataclass(frozen=True)
class Contents:
    """A Swin and what is around it.

    Attributes:
        source: Path or URL.
        layout: Whose layout the file is in.
        prefix: What stands before the Swin's names in the file.
        swin: The Swin, in OpenMMLab's layout, a classifier's head (``head.fc``) with it.
        others: Tensors of the rest of the model, such as a detector's heads, under their names.
        metadata: What modules noted beside their tensors, by their path in the Swin.
    """

    source: str
    layout: Layout
    prefix: str
    swin: dict[str, Tensor]
    others: dict[str, Tensor]
    metadata: dict[str, Mapping]

    @classmethod
    def of(cls, checkpoint: Mapping, source: str, prefix: str | None = None) -> 'Contents':
        """Find the Swin in a checkpoint.

        Args:
            checkpoint: What was read from a file.
            source: Where it was read from, for messages.
            prefix: What stands before the Swin's names; needed where a file holds several.

        Raises:
            ValueError: If there is none, or several and no telling which.
        """
        tensors, metadata = unwrap(checkpoint, source)
        swins = find_swins(tensors)
        prefix = _choose(swins, tensors, source, prefix)
        inside = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
        swin = to_openmmlab(inside, swins[prefix])
        others = {n: t for n, t in tensors.items() if not n.startswith(prefix)}
        for parameter in ('weight', 'bias'):
            if f'{HEAD}.{parameter}' in others:
                swin[f'{HEAD}.{parameter}'] = others.pop(f'{HEAD}.{parameter}')
        inside_metadata = {
            path.removeprefix(prefix): entry
            for path, entry in metadata.items()
            if path.startswith(prefix)
        }
        return cls(source, swins[prefix], prefix, swin, others, inside_metadata)

    def window(self, table: str) -> tuple[int, int]:
        """Window of a relative-position table.

        Args:
            table: Its name.

        Returns:
            Height and width in tokens: noted by the module that saved it, told by the index that
            stock Swins save, or that of a square.

        Raises:
            ValueError: If it is none of these.
        """
        path = table.rpartition('.')[0]
        noted = self.metadata.get(path, {}).get('window_size')
        window = noted or table_window(
            self.swin[table], self.swin.get(f'{path}.relative_position_index')
        )
        if window is None:
            raise ValueError(
                f'{self.source}: the window of {table} is not known: {len(self.swin[table])} rows '
                'are none of a square window, and there is no relative_position_index'
            )
        return window

    def tables(self) -> list[str]:
        """Names of the relative-position tables, in the order of the blocks."""
        found = {name: TABLE.read(name) for name in self.swin}
        blocks = [(v['s'], v['b'], name) for name, v in found.items() if v is not None]
        return [name for *_, name in sorted(blocks)]


def unwrap(checkpoint: Mapping, source: str) -> tuple[dict[str, Tensor], dict[str, Mapping]]:
    """Take the tensors out of whatever wraps them, without ``module.`` before their names.

    Returns:
        The tensors by name, and the metadata of the modules that saved them by their path.

    Raises:
        ValueError: If there are no tensors.
    """
    while wrapper := next((w for w in _WRAPPERS if isinstance(checkpoint.get(w), Mapping)), None):
        checkpoint = checkpoint[wrapper]
    tensors = {
        name.removeprefix('module.'): value
        for name, value in checkpoint.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }
    if not tensors:
        raise ValueError(f'{source} is no checkpoint: it holds no tensors by name')
    metadata = getattr(checkpoint, '_metadata', {})
    return tensors, {path.removeprefix('module.'): entry for path, entry in metadata.items()}


def _choose(
    swins: Mapping[str, Layout], tensors: Mapping[str, Tensor], source: str, prefix: str | None
) -> str:
    if not swins:
        first = ', '.join(list(tensors)[:5])
        known = 'OpenMMLab, Microsoft, timm, torchvision or transformers'
        raise ValueError(
            f'{source} holds no Swin in a layout that can be read ({known}); the first tensors '
            f'are {first}'
        )
    if prefix is not None:
        prefix = f'{prefix.rstrip(".")}.' if prefix else ''
        candidates = [found for found in swins if found == prefix]
    else:
        averaged = [found for found in swins if any(part in found for part in _AVERAGED)]
        candidates = averaged if len(averaged) == 1 else list(swins)
    if len(candidates) != 1:
        wanted = 'which one is wanted' if prefix is None else f'none of them is {prefix!r}'
        raise ValueError(f'{source} holds Swins under {list(swins)}, {wanted}: give prefix=...')
    return candidates[0]
