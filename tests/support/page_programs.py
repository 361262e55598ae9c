"""Pages of the documentation as programs: their commands and samples in order, and the output that they show.

A command stands behind `$ ` in a ```console block, with the lines that its backslash, its open quote or its heredoc takes
in; the lines below it are what it prints, `…` standing for anything (alone on a line: for any lines). A ```python, ```php
or ```javascript block is a program; a ```text block right behind it is what it prints. A block whose info string names a
file is that file in the folder of the page. `console not-run REASON` is not run.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

INTERPRETERS = {"python": "python", "php": "php", "javascript": "node"}
SUFFIXES = {"python": "py", "php": "php", "javascript": "mjs"}
SHELLS = frozenset({"bash", "sh", "shell", "zsh", "terminal", "shell-session"})
ADDRESS = "127.0.0.1:8000"
MARK = "…"
SECONDS = 240
_FENCE = re.compile(r"^(```+)[ \t]*(.*)$")
_HEREDOC = re.compile(r"(?<!<)<<(?!<)-?\s*(['\"]?)(\w+)\1")


class PageError(AssertionError):
    """A page that is not as it says, with the place."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; `line` is that of its first line, `behind` the number of the line behind its end."""

    language: str
    info: str
    text: str
    line: int
    behind: int


@dataclass(frozen=True, slots=True)
class Step:
    """One command or program, and what is shown of its output (None: nothing is)."""

    line: int
    language: str
    code: str
    shown: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """What of a page can be run."""

    name: str
    steps: tuple[Step, ...]
    files: tuple[tuple[str, str], ...]
    manifests: tuple[tuple[int, dict[str, Any]], ...]
    not_run: tuple[tuple[int, str], ...]

    def needs(self, language: str) -> bool:
        """Whether a step is of that language."""
        return any(step.language == language for step in self.steps)


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks, in order."""
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        opened = _FENCE.match(lines[at])
        at += 1
        if opened is None:
            continue
        start = at
        while at < len(lines) and lines[at].rstrip() != opened[1]:
            at += 1
        if at == len(lines):
            raise PageError(f"line {start}: the block is never closed")
        language, _, info = opened[2].strip().partition(" ")
        yield Block(language, info.strip(), "\n".join(lines[start:at]), start + 1, at + 2)
        at += 1


def parse(name: str, text: str) -> Page:
    """The page's steps, files and manifests."""
    steps: list[Step] = []
    files: list[tuple[str, str]] = []
    manifests: list[tuple[int, dict[str, Any]]] = []
    not_run: list[tuple[int, str]] = []
    lines = text.splitlines()
    before: Block | None = None
    for block in blocks(text):
        if block.language in SHELLS and not block.info:
            raise PageError(f"{name}, line {block.line}: commands stand in ```console, behind `$ `")
        if block.language == "console":
            if block.info.startswith("not-run"):
                not_run.append((block.line, block.info.removeprefix("not-run").strip()))
            elif block.info:
                raise PageError(f"{name}, line {block.line}: `{block.info}` is no word of a console block")
            else:
                steps += _commands(name, block)
        elif block.info:
            files.append((block.info, block.text + "\n"))
        elif block.language in INTERPRETERS:
            steps.append(Step(block.line, block.language, block.text, None))
        elif block.language == "text" and _right_behind(before, block, lines):
            steps[-1] = Step(steps[-1].line, steps[-1].language, steps[-1].code, block.text)
        if block.language == "yaml":
            manifests += [(block.line, document) for document in _documents(block.text) if "connector" in document]
        before = block
    return Page(name, tuple(steps), tuple(files), tuple(manifests), tuple(not_run))


def _right_behind(program: Block | None, block: Block, lines: list[str]) -> bool:
    """Whether the block shows what a program prints that stands before it."""
    if program is None or program.language not in INTERPRETERS or program.info:
        return False
    return not any(line.strip() for line in lines[program.behind - 1 : block.line - 2])


def _documents(text: str) -> list[dict[str, Any]]:
    """The mappings of a block that is YAML; a fragment that is none holds no manifest."""
    if not re.search(r"^connector:", text, re.MULTILINE):
        return []
    return [document for document in yaml.safe_load_all(text) if isinstance(document, dict)]


def _commands(name: str, block: Block) -> Iterator[Step]:
    lines = block.text.split("\n")
    at = 0
    while at < len(lines):
        if not lines[at].startswith("$ "):
            raise PageError(f"{name}, line {block.line + at}: a console block begins with a command behind `$ `")
        first, code = at, lines[at][2:]
        at += 1
        while not _whole(code):
            if at == len(lines):
                raise PageError(f"{name}, line {block.line + first}: the command has no end")
            code += "\n" + lines[at]
            at += 1
        start = at
        while at < len(lines) and not lines[at].startswith("$ "):
            at += 1
        shown = "\n".join(lines[start:at]).strip("\n")
        yield Step(block.line + first, "console", code, shown or None)


def _whole(code: str) -> bool:
    """Whether the shell would run it, or wait for another line."""
    if code.endswith("\\"):
        return False
    begun = [line for line in code.split("\n") if _HEREDOC.search(line)]
    if begun:
        _, _, rest = code.partition(begun[0] + "\n")
        word = _HEREDOC.search(begun[0])[2]  # type: ignore[index]
        return word in [line.strip() for line in rest.split("\n")]
    try:
        shlex.split(code)
    except ValueError:
        return False
    return True


def pattern(shown: str) -> re.Pattern[str]:
    """What the output must be for a page to show `shown`."""
    made = []
    for line in shown.split("\n"):
        if line.strip() == MARK:
            made.append(r"(?:[^\n]*(?:\n|\Z))*?")
        else:
            *before, last = line.rstrip().split(MARK)
            # A column of numbers is as wide as its widest: what fills it up before the mark is not part of what is shown.
            padded = [re.escape(part.rstrip(" ")) + " *" if part.endswith("  ") else re.escape(part) for part in before]
            text = r"[^\n]*".join([*padded, re.escape(last)])
            made.append(text + r"[ \t]*(?:\n|\Z)")
    return re.compile("".join(made))


def script(steps: tuple[Step, ...], folder: Path) -> str:
    """One bash program: every step writes into a file of its own, the first that fails ends it."""
    parts = ["set -o pipefail", f"cd {shlex.quote(str(folder))}"]
    for number, step in enumerate(steps):
        code = step.code
        if step.language != "console":
            sample = folder / f"sample-{number}.{SUFFIXES[step.language]}"
            sample.write_text(code + "\n", "utf-8")
            code = f"{INTERPRETERS[step.language]} {sample.name}"
        said = shlex.quote(str(folder / f".said-{number}"))
        parts += [f"exec >{said} 2>&1", code, "code_of_step=$?; [ $code_of_step = 0 ] || exit $code_of_step"]
    return "\n".join(parts) + "\n"


def run(page: Page, folder: Path, environment: Mapping[str, str], address: str, leave_out: str = "") -> int:
    """How many steps ran in `folder`, all as shown; raises with the place of the first that did not.

    `address` (host and port) stands for the one that pages name.
    """
    steps = tuple(step for step in page.steps if step.language != leave_out)
    for file, text in page.files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text.replace(ADDRESS, address), "utf-8")
    program = folder / ".page.sh"
    program.write_text(script(steps, folder).replace(ADDRESS, address), "utf-8")
    for sample in folder.glob("sample-*"):
        sample.write_text(sample.read_text("utf-8").replace(ADDRESS, address), "utf-8")
    command = ["bash", "--noprofile", "--norc", str(program)]
    code: int | str
    try:
        code = subprocess.run(
            command, env=environment, check=False, stdin=subprocess.DEVNULL, timeout=SECONDS
        ).returncode
    except subprocess.TimeoutExpired:
        code = f"no end after {SECONDS} s"
    said = [_said(folder / f".said-{number}", address) for number in range(len(steps))]
    began = sum(one is not None for one in said)
    for number, (step, output) in enumerate(zip(steps, said, strict=True)):
        place = f"{page.name}, line {step.line}: {step.code.splitlines()[0]}"
        if output is None or (number == began - 1 and code != 0):
            raise PageError(f"{place}\nended with {code}; it printed\n{output}")
        if step.shown is not None and not pattern(step.shown).fullmatch(output.strip("\n")):
            raise PageError(f"{place}\nthe page shows\n{step.shown}\nit printed\n{output}")
    return began


def _said(file: Path, address: str) -> str | None:
    if not file.exists():
        return None
    return file.read_text("utf-8", "replace").replace(address, ADDRESS)
