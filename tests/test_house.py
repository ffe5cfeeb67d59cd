"""The house stands as planned: layers, pins, and nothing that points out of it."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("analytics", "consent", "retention")


def tracked() -> list[Path]:
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in names.splitlines() if (ROOT / name).is_file()]


@pytest.mark.parametrize("package", PACKAGES)
def test_no_package_imports_the_entries_above_it(package: str) -> None:
    # import-linter knows packages only; cli.py and app.py are modules
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            above = {name.partition(".")[0] for name in names} & {"app", "cli", "tests"}
            assert not above, f"{path.relative_to(ROOT)} imports {above}"


def test_every_requirement_is_pinned_and_names_no_index() -> None:
    files = [p for p in (ROOT / "requirements").glob("*.txt") if p.name != "debian.txt"]
    assert len(files) >= 4
    for path in files:
        lines = path.read_text().splitlines()
        assert lines
        for line in lines:
            assert re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line), f"{path.name}: {line!r}"


def test_each_package_is_pinned_once() -> None:
    seen: dict[str, str] = {}
    for path in (ROOT / "requirements").glob("*.txt"):
        for line in path.read_text().splitlines():
            if "==" in line:
                name = line.partition("==")[0]
                assert name not in seen, f"{name} stands in {seen[name]} and {path.name}"
                seen[name] = path.name


def test_every_declared_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = {line.partition("==")[0] for p in (ROOT / "requirements").glob("*.txt") for line in p.read_text().split()}
    declared = set(project["dependencies"]) | {n for names in project["optional-dependencies"].values() for n in names}
    assert declared <= pinned


def test_the_core_set_has_no_torch_and_one_opencv() -> None:
    names = {line.partition("==")[0] for line in (ROOT / "requirements" / "core.txt").read_text().split()}
    assert not names & {"torch", "tensorflow", "ultralytics", "openvino-telemetry"}
    assert [n for n in names if n.startswith("opencv")] == ["opencv-contrib-python-headless"]


def test_no_file_names_a_package_host_or_a_path_of_one_machine() -> None:
    hosts = re.compile("|".join(["py" + "pi[.]org", "python" + "hosted", "registry[.]np" + "mjs", "deb[.]deb" + "ian"]))
    machine = re.compile("/ro" + "ot/|/wo" + "rk/")
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        assert not hosts.search(text), f"{path} names a package host"
        assert not machine.search(text), f"{path} holds a path of one machine"
