"""The documentation names code that exists, and every constraint of the models has its section."""

import ast
import re
from pathlib import Path

import pytest

from pipeline.config import load_config

ROOT = Path(__file__).parent.parent
FORMULATION = (ROOT / "docs" / "formulation.md").read_text(encoding="utf-8")


def functions_of(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    kinds = ast.FunctionDef | ast.ClassDef
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


DEFINED = {name for file in ROOT.glob("pipeline/**/*.py") for name in functions_of(file)}


@pytest.mark.parametrize("module", ["compact", "path", "timed"])
def test_every_constraint_family_has_its_section(module: str) -> None:
    families = functions_of(ROOT / "pipeline" / "formulation" / f"{module}.py")
    headings = " ".join(line for line in FORMULATION.splitlines() if line.startswith("###"))
    for family in families:
        if family.startswith("add_") and family != "add_hops":
            assert f"`{family}`" in headings


def test_code_named_in_the_formulation_exists() -> None:
    named = set(re.findall(r"`([a-z]+_[a-z_]+|[A-Z][a-z]+[A-Z]\w+)`", FORMULATION))
    config_fields = {"uniform_tp", "single_gpu_type", "equal_sizes"}
    assert named - config_fields <= DEFINED
    assert len(named) > 15


def test_files_named_in_readme_and_docs_exist() -> None:
    for page in (ROOT / "README.md", *ROOT.glob("docs/*.md")):
        text = page.read_text(encoding="utf-8")
        for link in re.findall(r"\]\((?!http)([^)#]+)\)", text):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
        for path in re.findall(r"`((?:tests|pipeline|configs|docs)/[\w./-]+\.\w+)`", text):
            assert (ROOT / path).exists(), f"{page.name}: {path}"


def test_the_config_of_the_page_for_operators_is_one(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "your-service.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    (tmp_path / "chat.yaml").write_text(text, encoding="utf-8")
    instance = load_config(tmp_path / "chat.yaml").instance
    assert instance.serving is not None
    assert instance.limits.uniform_tp
    assert [kind.memory_gb for kind in instance.pool] == [80.0, 48.0]
