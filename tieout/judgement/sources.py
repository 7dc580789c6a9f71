"""What the program's own code says: which modules others stand on, and a digest of them.

The files are read and not imported: nothing is loaded for it that would not be needed.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

_OURS = ("tieout", "data_contracts")
_WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def needed(folder: Path, roots: Iterable[str], apart: Sequence[str]) -> dict[str, ast.Module]:
    """Return by name what the modules say that the roots import, they themselves, and so on; nothing of those `apart`.

    Without docstrings; of a comment nothing is left anyway.
    """
    found: dict[str, ast.Module] = {}
    ahead = list(roots)
    while ahead:
        name = _module(folder, ahead.pop())
        if name and name not in found and not is_within(name, apart):
            found[name] = _parsed(_file(folder, name))
            ahead += _imported(found[name])
    return found


def digest(modules: Mapping[str, ast.Module]) -> str:
    """Return what changes with any of this code, whatever the order in which it was found."""
    said = "\0".join(f"{name}\0{ast.dump(modules[name])}" for name in sorted(modules))
    return hashlib.sha256(said.encode()).hexdigest()


def is_within(name: str, packages: Iterable[str]) -> bool:
    """Whether a module is one of these, or inside one."""
    return any(f"{name}.".startswith(f"{package}.") for package in packages)


def _module(folder: Path, name: str) -> str:
    """Return the module of ours that is called so, or in which something is; empty where there is none."""
    around = name.rpartition(".")[0]
    return next((each for each in (name, around) if is_within(each, _OURS) and _file(folder, each).is_file()), "")


def _file(folder: Path, name: str) -> Path:
    path = folder.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _imported(module: ast.Module) -> Iterator[str]:
    """Yield the names of what is imported, wherever in the module."""
    for node in _statements(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _parsed(file: Path) -> ast.Module:
    module = ast.parse(file.read_bytes())
    for node in (module, *_statements(module)):
        if isinstance(node, _WITH_DOCSTRING):
            match node.body:
                case [ast.Expr(ast.Constant(str())), *rest]:
                    node.body = rest
    return module


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all that a node holds but for expressions, of which there are many."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.expr):
            yield child
            yield from _statements(child)
