"""No adapter without proof: each one that can be chosen has a conformance class."""

import ast
import tomllib

import pytest

from docs.generator.page import ROOT
from docs.generator.tree import imports_of


def _adapters() -> list[tuple[str, str, str]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [
        (group.removeprefix("weft."), scheme, target.split(":")[1])
        for group, schemes in project["entry-points"].items()
        for scheme, target in schemes.items()
    ]


@pytest.mark.contract("HC-382")
@pytest.mark.parametrize(("port", "scheme", "adapter"), _adapters())
def test_every_adapter_passes_the_suite_of_its_port(port: str, scheme: str, adapter: str) -> None:
    proofs: list[str] = []
    for path in (ROOT / "tests" / "conformance").rglob("test_*.py"):
        module = ast.parse(path.read_text(encoding="utf-8"))
        names = {name.id for name in ast.walk(module) if isinstance(name, ast.Name)}
        suites = {name for name in imports_of(module) if name.startswith(f"weft.testing.{port}_suite")}
        has_class = any(isinstance(node, ast.ClassDef) and node.bases for node in module.body)
        if suites and has_class and adapter in names:
            proofs.append(path.name)

    assert proofs, f"{adapter} ({scheme}://) has no class in tests/conformance that runs weft.testing.{port}_suite on it"


def test_every_adapter_can_be_loaded_and_follows_its_port() -> None:
    from weft.core.adapters import adapter_schemes, load_adapter

    for port in {port for port, _, _ in _adapters()}:
        for scheme in adapter_schemes(port):
            adapter = load_adapter(port, f"{scheme}:///somewhere")

            assert not getattr(adapter, "__abstractmethods__", None), f"{adapter} leaves methods of its port open"
            assert adapter.reach in {"process", "host", "network"}
            assert (adapter.__doc__ or "").strip(), f"{adapter} does not say what it is"


def test_an_adapter_whose_library_is_missing_names_an_extra_that_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint

    from weft.core.adapters import load_adapter
    from weft.core.errors import Unsupported

    def without_library(_: EntryPoint) -> None:
        raise ModuleNotFoundError(name="a_library")

    monkeypatch.setattr(EntryPoint, "load", without_library)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    embedded = {"sqlite", "parquet", "memory"}
    for port, scheme, _ in _adapters():
        if scheme in embedded:
            continue
        with pytest.raises(Unsupported) as refused:
            load_adapter(port, f"{scheme}://somewhere")
        named = refused.value.message.rpartition("weft[")[2].partition("]")[0]
        assert named in extras, f"{scheme}:// names the extra '{named}'"
