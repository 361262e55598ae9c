"""The runner of the documentation's pages finds what it is for: wrong outputs, failing commands, blocks that nobody runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.page_programs import PageError, parse, pattern, run

ADDRESS = "127.0.0.1:1"


def run_text(folder: Path, text: str) -> int:
    return run(parse("page.md", text), folder, dict(os.environ), ADDRESS)


def console(*lines: str) -> str:
    return "\n".join(["# A page", "", "```console", *lines, "```", ""])


def test_commands_share_a_shell_and_print_what_is_shown(tmp_path: Path) -> None:
    text = console(
        "$ WHO=dinkes",
        '$ echo "$WHO" \\',
        "    | tr a-z A-Z",
        "DINKES",
        "$ cat > body.json <<'END'",
        '{"it": "isn\'t"}',
        "END",
        "$ cat body.json",
        '{"it": "isn\'t"}',
        "$ echo '{",
        '"a": 1}\'',
        "{",
        '"a": 1}',
        "$ echo http://127.0.0.1:8000/v1",
        "http://127.0.0.1:8000/v1",
    )

    assert run_text(tmp_path, text) == 6


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (console("$ echo 25", "24"), r"page.md, line 4: echo 25\nthe page shows\n24\nit printed\n25"),
        (console("$ printf 'a\\nb\\n'", "a"), "the page shows"),
        (console("$ printf 'a\\n'", "a", "b"), "the page shows"),
        (console("$ true", "$ false", "$ echo never"), r"line 5: false\nended with 1"),
        (console("$ false | cat"), r"line 4: false \| cat\nended with 1"),
        (console("$ X=$(exit 3)"), "ended with 3"),
        (console("$ echo a", "b", "$ false"), "the page shows"),
        (console("$ exit 0", "$ echo never"), r"line 5: echo never\nended with 0"),
        (console("$ simpul-that-is-not-there"), "ended with 127"),
        ("```python\nprint(1)\n```\n\n```text\n2\n```\n", r"the page shows\n2\nit printed\n1"),
        ("```python\nraise SystemExit(4)\n```\n", "ended with 4"),
        ("```javascript\nconsole.log(await 1)\n```\n```text\n2\n```\n", "it printed\n1"),
    ],
)
def test_what_is_not_as_shown_is_found(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(PageError, match=told):
        run_text(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("```bash\nls\n```\n", "```console"),
        ("```console\nls\n```\n", "begins with a command"),
        ("```console later\n$ ls\n```\n", "no word of a console block"),
        ("```console\n$ echo 'a\n```\n", "no end"),
        ("```console\n$ cat <<END\nEND OF\n```\n", "no end"),
        ("```console\n$ ls\n", "never closed"),
    ],
)
def test_blocks_that_would_not_run_are_found(text: str, told: str) -> None:
    with pytest.raises(PageError, match=told):
        parse("page.md", text)


def test_programs_files_and_manifests(tmp_path: Path) -> None:
    text = (
        "```yaml source.yaml\nconnector: a\nagency: b\n```\n"
        "```yaml\nnama: {from: Nama}\n```\n"
        "```console not-run it serves\n$ simpul serve\n```\n"
        "```python\nprint(open('source.yaml').read(), end='')\n```\n\n```text\nconnector: a\n…\n```\n"
        "```text\nnot of the program\n```\n"
    )
    page = parse("page.md", text)

    assert [(line, document["connector"]) for line, document in page.manifests] == [(2, "a")]
    assert page.not_run == ((9, "it serves"),)
    assert page.needs("python")
    assert not page.needs("php")
    assert run(page, tmp_path, dict(os.environ), ADDRESS) == 1


@pytest.mark.parametrize(
    ("shown", "output", "fits"),
    [
        ("a…c", "abbc", True),
        ("a…c", "ab\nbc", False),
        ("a\n…\nc", "a\nb\nb\nc", True),
        ("a\n…\nc", "a\nc", True),
        ("a\n…", "a", True),
        ("a\n…\nc", "a\nb", False),
        ("a.c", "abc", False),
        ("a", "a  ", True),
        ("a", "ab", False),
    ],
)
def test_the_mark_stands_for_anything(shown: str, output: str, fits: bool) -> None:
    assert bool(pattern(shown).fullmatch(output)) is fits
