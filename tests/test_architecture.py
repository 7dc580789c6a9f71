"""The laws of the tree: who may import whom, how things are called, what the lock may hold."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import pytest
from importlinter.cli import lint_imports
from packaging.requirements import Requirement

from tieout.connectors.base import available_erps

ROOT = Path(__file__).parents[1]
PACKAGES = ("flows", "tasks", "tieout", "data_contracts")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TEST_MODULES = sorted(path for folder in ("tests", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
FLOW_FILES = sorted(path for path in (ROOT / "flows").glob("*.py") if path.stem != "__init__")
VERBS = {
    *(
        "acknowledge",
        "confirm",
        "export",
        "import",
        "keep",
        "reconcile",
        "refresh",
        "reject",
        "reprocess",
        "retrieve",
        "retry",
    ),
    *("review", "send", "settle", "show", "sync", "unlink"),
}
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
LOCKED = re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==([^\s;]+)(.*(?:\n    --hash.*)*)", LOCK, re.MULTILINE)
HEAVY = ("great_expectations", "pandas")
ERPS = re.compile("|".join(available_erps()), re.IGNORECASE)
# Who may know which ERPs there are: a connector its own, the stand-ins, and the demo, which plays with one of them.
KNOW_ERPS = ("tieout/connectors/", "tieout/sandbox/", "tieout/cli/demo/", "tieout/cli/sandbox.py")
DECISIONS = {path.stem for path in (ROOT / "tieout" / "decisions").glob("[!_]*.py")}
# What several decisions need: how an answer reads, and which invoices are meant.
BESIDE_DECISIONS = {"answers", "choice"}
# Limits to think at are no limits to cut a thought in two at: these are one list of things that belong together.
LONG = {
    "data_contracts/case.py": "every column that a rule may look at",
    "data_contracts/rules.py": "every rule",
    "tieout/settings.py": "every section of the settings",
    "tieout/ledger/schema.py": "every table",
    "tieout/ledger/migrations/versions/0001_first_tables.py": "the same tables, as they were first",
    "tieout/connectors/procore/connector.py": "every question that Procore is asked",
    "tieout/connectors/procore/translation.py": "every field of Procore's invoice",
    "tasks/_prefect.py": "everything that the Prefect server is asked",
    "tieout/sandbox/procore/requisitions.py": "Procore's invoices, as the stand-in shows and changes them",
    "tieout/sandbox/spectrum/company.py": "a company in Spectrum, and what its people do",
    "tieout/sandbox/spectrum/rules.py": "every rule by which Spectrum refuses an invoice",
}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def own_nodes(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """Yield what a function is made of, without the functions inside it."""
    ahead: list[ast.AST] = [*function.body]
    while ahead:
        node = ahead.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            ahead += ast.iter_child_nodes(node)


def yields(node: ast.AST) -> bool:
    return isinstance(node, ast.Yield | ast.YieldFrom)


def decorator_name(decorator: ast.expr) -> str:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return ast.unparse(called).rpartition(".")[2]


def flows_defined_in(path: Path) -> list[str]:
    functions = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.FunctionDef)]
    return [f.name for f in functions if "flow" in map(decorator_name, f.decorator_list)]


def module_name(path: Path) -> str:
    return relative(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def test_imports_keep_to_the_contracts(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(ROOT)

    status = lint_imports(no_cache=True)

    assert status == 0, capsys.readouterr().out


@pytest.mark.parametrize("path", FLOW_FILES, ids=relative)
def test_a_flow_file_holds_one_flow_and_bears_its_name(path: Path):
    assert flows_defined_in(path) == [path.stem]


@pytest.mark.parametrize("path", FLOW_FILES, ids=relative)
def test_a_flow_is_called_by_what_it_does(path: Path):
    assert VERBS & set(path.stem.split("_"))


@pytest.mark.parametrize("path", FLOW_FILES, ids=relative)
def test_a_flow_name_hides_nothing_importable(path: Path):
    assert find_spec(path.stem) is None


@pytest.mark.parametrize("path", FLOW_FILES, ids=relative)
def test_a_flow_file_has_no_class_and_no_relative_import(path: Path):
    nodes = list(ast.walk(tree_of(path)))
    relative_imports = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.level]
    classes = [node.name for node in nodes if isinstance(node, ast.ClassDef)]

    assert (relative_imports, classes) == ([], [])


@pytest.mark.parametrize("path", MODULES + TEST_MODULES, ids=relative)
def test_a_module_says_what_it_is_for(path: Path):
    assert ast.get_docstring(tree_of(path))


def test_no_module_is_named_for_nothing_in_particular():
    vague = {"utils", "util", "helpers", "helper", "common", "core", "misc"}
    names = [module_name(path) for path in MODULES + TEST_MODULES]

    assert [name for name in names if vague & set(name.split("."))] == []


def test_a_flow_that_records_a_decision_has_its_file_among_the_decisions():
    asking = [path.stem for path in FLOW_FILES if re.search(r"\bcode: Words|\.ask\(", path.read_text("utf-8"))]
    deciding = [flow for flow in asking if flow != "sync_payments"]  # it asks for a right, and decides nothing

    found = {flow: {flow, flow.partition("_")[0]} & DECISIONS for flow in deciding}

    assert [flow for flow, files in found.items() if len(files) != 1] == []
    assert DECISIONS - set().union(*found.values()) == BESIDE_DECISIONS


def test_a_module_is_long_only_where_it_is_one_list():
    long = {relative(path) for path in MODULES if len(path.read_text(encoding="utf-8").splitlines()) > 300}

    assert long == set(LONG)


def test_the_design_draws_every_room():
    drawn = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    rooms = {
        f"{path.name}/" if path.is_dir() else path.name
        for path in (ROOT / "tieout").iterdir()
        if path.name[0] not in "_." and (path / "__init__.py").is_file() ^ path.is_file()
    }

    assert [room for room in sorted(rooms) if f"`{room}`" not in drawn] == []


@pytest.mark.parametrize("path", [path for path in MODULES if "versions" in path.parts], ids=relative)
def test_a_migration_imports_nothing_that_may_change_after_it(path: Path):
    nodes = list(ast.walk(tree_of(path)))
    imported = [each.name for node in nodes if isinstance(node, ast.Import) for each in node.names]
    imported += [node.module or "." for node in nodes if isinstance(node, ast.ImportFrom)]

    assert {name.partition(".")[0] for name in imported} <= {"alembic", "sqlalchemy"}


def test_settings_are_read_at_the_door_and_handed_down():
    doors = ("tasks/_run.py", "tasks/_policy.py", "tieout/cli/")
    readers = [
        relative(path)
        for path in MODULES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("settings.read", "os.getenv", "os.environ.get")
    ]

    assert {each for each in readers if not each.startswith(doors)} == {"tieout/settings.py"}


def test_nobody_but_its_connector_and_the_demo_names_an_erp():
    others = [path for path in MODULES if not relative(path).startswith(KNOW_ERPS)]
    named = [
        f"{relative(path)}: {line.strip()}"
        for path in others
        for line in path.read_text(encoding="utf-8").splitlines()
        if ERPS.search(line)
    ]

    assert named == ['tieout/settings.py: erp: str = "spectrum"']  # unless the settings say otherwise


def test_nothing_is_done_differently_because_an_erp_has_a_certain_name():
    compared = [
        f"{relative(path)}: {ast.unparse(node)}"
        for path in MODULES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Compare | ast.MatchValue) and any(map(_is_erp_name, ast.walk(node)))
    ]

    assert compared == []


def _is_erp_name(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(ERPS.fullmatch(node.value))


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_nothing_is_done_around_a_generator_which_runs_only_later(path: Path):
    functions = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.FunctionDef)]
    generators = [function for function in functions if any(map(yields, own_nodes(function)))]

    assert {name for each in generators for name in map(decorator_name, each.decorator_list)} <= {"contextmanager"}


def test_a_test_folder_shadows_no_package():
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_slow_libraries_are_imported_only_when_they_are_used():
    names = [module_name(path) for path in MODULES if not {"migrations", "__main__.py"} & set(path.parts)]
    script = f"import sys, importlib\nfor name in {names!r}: importlib.import_module(name)\n"
    script += f"print(*sorted(set({HEAVY!r}) & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)

    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr


def test_the_lock_pins_by_hash_and_names_no_place():
    unhashed = [name for name, _, rest in LOCKED if "--hash=sha256:" not in rest]
    places = re.findall(r"://|^--\S+|^-\w|^\S+ @ .*|^[./].*", LOCK, re.MULTILINE)

    assert (unhashed, places) == ([], [])


def test_the_lock_satisfies_every_declared_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    declared = [Requirement(line) for line in [*project["dependencies"], *chain.from_iterable(extras)]]
    versions = {name: version for name, version, _ in LOCKED}

    assert [str(need) for need in declared if versions.get(need.name, "0") not in need.specifier] == []
    assert [str(need) for need in declared if need.name not in versions] == []
