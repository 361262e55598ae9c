"""The explanations name files and what stands in them: each name is defined in the file that the page says."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.support.pages import DOCS

PAGES = ("explanation/life-of-a-read.md", "explanation/mapping.md")
NAMED = re.compile(r"`(\w+)` in `(app/[\w/]+\.py)`")


@cache
def defined(path: str) -> frozenset[str]:
    """Names of functions, classes, methods and module variables of a file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((DOCS.parent / path).read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return frozenset(found)


@pytest.mark.parametrize("page", PAGES)
def test_every_name_stands_in_the_file_that_the_page_says(page: str) -> None:
    text = (DOCS / page).read_text("utf-8")
    named = NAMED.findall(text)

    assert len(named) > 10
    assert [(name, path) for name, path in named if name not in defined(path)] == []
    assert set(re.findall(r"app/[\w/]+\.py", text)) == {path for _, path in named}


@pytest.mark.parametrize("page", sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")))
def test_every_link_to_another_page_leads_somewhere(page: str) -> None:
    text = (DOCS / page).read_text("utf-8")
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]

    assert [link for link in links if link and not ((DOCS / page).parent / link).exists()] == []
