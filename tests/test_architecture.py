"""Who may import whom, and how large things may grow; read from the syntax tree."""

import ast
import sys
from importlib import import_module
from pathlib import Path

import pytest

from mmgab.cli.commands import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / 'mmgab'
MODULES = sorted(PACKAGE.glob('**/*.py'))
MODULES = [path for path in MODULES if '.mim' not in path.parts]
SOURCES = [
    *MODULES,
    *(path for room in ('projects', 'tools') for path in sorted((ROOT / room).glob('**/*.py'))),
]

# What each room of the library may import of the others: those below it.
FOUNDATION = {
    'atomic_file',
    'config_types',
    'downloads',
    'former_names',
    'functional',
    'html_template',
    'log',
    'openmmlab_compat',
    'printable_text',
    'registry',
}
LOW = {*FOUNDATION, 'analysis', 'checkpoints', 'datasets', 'layers'}
ALLOWED = {
    **{name: set() for name in FOUNDATION},
    '__init__': set(),
    '__main__': {'cli'},
    'downloads': {'atomic_file', 'log'},
    'analysis': FOUNDATION,
    'checkpoints': {*FOUNDATION, 'layers.methods'},
    'datasets': FOUNDATION,
    'kernels': {'functional'},
    'layers': {*FOUNDATION, 'kernels'},
    'models': LOW,
    'reliability': LOW,
    'deployment': LOW,
    'hooks': {*LOW, 'models', 'reliability', 'deployment'},
    'engine': {*LOW, 'models', 'reliability', 'deployment', 'hooks'},
    'doctor': {*LOW, 'models', 'reliability', 'deployment', 'hooks', 'engine'},
    'inspection': {*LOW, 'models', 'reliability', 'deployment', 'hooks', 'engine'},
    'prediction': {*LOW, 'models', 'reliability', 'deployment', 'hooks', 'engine'},
    'cli': {
        *(*LOW, 'models', 'reliability', 'deployment', 'hooks', 'engine'),
        *('doctor', 'inspection', 'prediction'),
    },
}
TORCH_ONLY = ('functional',)
MATPLOTLIB = ('mmgab/analysis/plots/figures.py',)
OPENMMLAB = ('mmcv', 'mmdet', 'mmengine', 'mmpretrain', 'mmseg')
PROJECTS = sorted((ROOT / 'projects').glob('**/*.py'))
WRITERS = [*MODULES, *PROJECTS, *(ROOT / 'tools' / 'dataset_converters').glob('*.py')]
COMPATIBILITY = PACKAGE / 'openmmlab_compat.py'


def module_name(path):
    return '.'.join(path.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__')


def imports(path):
    """Absolute names of the modules that a file imports."""
    package = module_name(path) if path.name == '__init__.py' else module_name(path.parent / '_')
    package = package.removesuffix('._')
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            up = package.split('.')[: len(package.split('.')) - node.level + 1]
            module = '.'.join(
                [*(up if node.level else []), *([node.module] if node.module else [])]
            )
            # `from mmgab import models` imports a module of the package.
            names = [f'mmgab.{alias.name}' for alias in node.names]
            yield from names if module == 'mmgab' else [module]


def ids(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize('path', MODULES, ids=ids)
def test_imports_follow_the_layering(path):
    part = module_name(path).split('.')[1] if path.parent != PACKAGE else path.stem
    allowed = ALLOWED[part]
    for name in imports(path):
        if name.startswith('mmgab.') and name.split('.')[1] != part:
            inside = name.removeprefix('mmgab.')
            assert {inside, inside.split('.')[0]} & allowed, f'{part} imports {name}'
        assert name.split('.')[0] not in ('projects', 'tests', 'tools'), f'{part} imports {name}'


@pytest.mark.parametrize('path', MODULES, ids=ids)
def test_the_library_imports_neither_toolbox(path):
    assert not [name for name in imports(path) if name.split('.')[0] in ('mmdet', 'mmseg')]


@pytest.mark.parametrize('path', MODULES, ids=ids)
def test_geometry_needs_torch_alone_and_only_one_module_needs_matplotlib(path):
    roots = {name.split('.')[0] for name in imports(path)} - {'mmgab'}
    if path.parent.name in TORCH_ONLY:
        assert roots <= {'torch', *sys.stdlib_module_names}
    if 'matplotlib' in roots:
        assert ids(path) in MATPLOTLIB


def test_the_package_and_its_registry_are_cheap_to_import():
    """A failing import in the registry module would be swallowed by MMEngine."""
    roots = {name.split('.')[0] for name in imports(PACKAGE / '__init__.py')}
    assert roots <= sys.stdlib_module_names
    assert {name.split('.')[0] for name in imports(PACKAGE / 'registry.py')} == {'mmengine'}


@pytest.mark.parametrize('path', SOURCES, ids=ids)
def test_modules_and_functions_stay_small(path):
    source = path.read_text()
    assert len(source.splitlines()) <= 300
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            # A constructor's argument list is not counted: the drop-in contract sets SwinGAB's.
            first_line = node.body[0].lineno if node.name == '__init__' else node.lineno
            length = node.end_lineno - first_line + 1
            assert length <= 60, f'{node.name}: {length} lines'


def test_module_names_are_specific():
    assert not [path for path in MODULES if path.stem in ('utils', 'helpers', 'common', 'misc')]


def test_no_two_modules_have_the_same_file_name():
    """But for commands, which are named as users type them; tests and tools/ are mirror images."""
    commands = {PACKAGE / 'cli' / f'{command.module}.py' for command in COMMANDS.values()}
    modules = [path for path in (*MODULES, *PROJECTS) if not path.stem.startswith('__')]
    names = [path.name for path in modules if path not in commands]
    assert [name for name in sorted(names) if names.count(name) > 1] == []


@pytest.mark.parametrize('path', [path for path in SOURCES if path.name == '__init__.py'], ids=ids)
def test_no_package_binds_another_object_to_the_name_of_its_module(path):
    modules = {each.stem for each in path.parent.iterdir()} - {'__init__'}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            assert node.name not in modules
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            is_module = isinstance(node, ast.ImportFrom) and node.level and node.module is None
            bound = {alias.asname or alias.name for alias in node.names}
            assert is_module or not bound & modules
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            assert node.id not in modules


@pytest.mark.parametrize('path', WRITERS, ids=ids)
def test_files_are_written_atomically(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and node.attr in ('write_text', 'write_bytes'):
            assert root_of(node) == 'temporary', ast.unparse(node)


@pytest.mark.parametrize('path', SOURCES, ids=ids)
def test_pages_are_rendered_in_one_module_only(path):
    roots = {name.split('.')[0] for name in imports(path)}
    assert not roots & {'jinja2', 'markupsafe'} or path == PACKAGE / 'html_template.py'


def names_from_openmmlab(tree):
    """What a module has imported of OpenMMLab's packages, as it calls it."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            of = [getattr(node, 'module', None) or alias.name for alias in node.names]
            for alias, origin in zip(node.names, of, strict=True):
                if not getattr(node, 'level', 0) and origin.split('.')[0] in OPENMMLAB:
                    yield (alias.asname or alias.name).split('.')[0]


def root_of(node):
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return getattr(node, 'id', None)


@pytest.mark.parametrize('path', [p for p in SOURCES if p != COMPATIBILITY], ids=ids)
def test_openmmlab_is_patched_in_one_module_only(path):
    """Assignments to what is theirs, and their private names, which no other release may have."""
    tree = ast.parse(path.read_text())
    theirs = set(names_from_openmmlab(tree))
    for node in ast.walk(tree):
        is_set = isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(
            node.ctx, ast.Load
        )
        is_private = isinstance(node, ast.Attribute) and node.attr.startswith('_')
        if is_set or (is_private and not node.attr.endswith('__')):
            assert root_of(node) not in theirs, ast.unparse(node)
        elif isinstance(node, ast.Call) and root_of(node.func) in ('setattr', 'delattr'):
            assert root_of(node.args[0]) not in theirs, ast.unparse(node)


@pytest.mark.parametrize('path', sorted((ROOT / 'tests').glob('**/test_*.py')), ids=ids)
def test_every_test_is_collected(path):
    """A function in a test module is a test, a fixture, or is called by one: no 'tets_...'."""
    tree = ast.parse(path.read_text())
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith('test_'):
            assert node.decorator_list or node.name in used, f'{node.name} is never run'


def test_every_python_package_is_in_the_wheel():
    listed = (ROOT / 'pyproject.toml').read_text()
    for folder in {path.parent for path in MODULES}:
        assert f"'{module_name(folder / '_').removesuffix('._')}'" in listed
    assert "'projects" not in listed


@pytest.mark.parametrize('folder', [PACKAGE, PACKAGE / 'models'], ids=ids)
def test_type_checkers_see_every_name_that_is_imported_on_demand(folder):
    stub = ast.parse((folder / '__init__.pyi').read_text())
    seen = {alias.asname for node in stub.body if isinstance(node, ast.ImportFrom)
            for alias in node.names}  # fmt: skip
    assert seen == set(import_module(module_name(folder / '_').removesuffix('._')).__all__)
