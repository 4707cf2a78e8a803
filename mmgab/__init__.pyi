"""What type checkers see: names that ``__init__.py`` imports on demand."""

from mmgab.checkpoints import fold as fold
from mmgab.checkpoints import load as load
from mmgab.models import SwinGAB as SwinGAB
from mmgab.models import ViTGAB as ViTGAB
from mmgab.models import add_gaussian_bias as add_gaussian_bias
from mmgab.models import fold_gaussian_bias as fold_gaussian_bias
from mmgab.models import remove_gaussian_bias as remove_gaussian_bias

__version__: str
