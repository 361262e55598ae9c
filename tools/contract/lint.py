"""Runs the linters over the committed OpenAPI document and counts what they find, by rule.

    python tools/contract/lint.py [--document FILE] [--only LINTER ...] [--rule RULE] [--all] [--json]

The linters are the pinned ones of package-lock.json (`make contract-tools`). What stands on purpose is listed in
exceptions.yaml. Exit codes: 0 no finding, 1 findings, 2 a linter could not run.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
DOCUMENT = HERE.parents[1] / "openapi" / "simpul.json"
PROGRAMS = HERE / "node_modules" / ".bin"
SEVERITIES = ("error", "warning", "information", "hint")
EXAMPLES = 3


class CannotRun(Exception):
    """A linter gave no report, so that nothing is known of the document."""


@dataclass(frozen=True)
class Finding:
    """One thing that one linter says of one place."""

    linter: str
    rule: str
    severity: str
    pointer: str
    message: str


@dataclass(frozen=True)
class Linter:
    """A linter, and the least severity at which what it finds fails the gate."""

    name: str
    run: Callable[[str, Path], list[Finding]]
    fails_at: str

    def fails(self, finding: Finding) -> bool:
        """Whether this finding fails the gate."""
        return SEVERITIES.index(finding.severity) <= SEVERITIES.index(self.fails_at)


@dataclass
class Exemption:
    """A line of exceptions.yaml."""

    linter: str
    rule: str
    reason: str
    where: str = ""
    covered: int = 0

    def covers(self, finding: Finding) -> bool:
        """Whether this exception is meant for the finding."""
        same = (self.linter, self.rule) == (finding.linter, finding.rule)
        return same and re.search(self.where, finding.pointer) is not None


def _report(command: list[str], output: Path | None = None) -> Any:
    """What the command wrote as JSON, to its standard output or to a file."""
    program = PROGRAMS / command[0]
    if not program.exists():
        raise CannotRun(f"{command[0]} is not installed: make contract-tools")
    environment = {**os.environ, "REDOCLY_TELEMETRY": "off", "NO_COLOR": "1", "CI": "true"}
    done = subprocess.run(  # noqa: S603 - a pinned program, no shell
        [str(program), *command[1:]],
        cwd=HERE,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    text = output.read_bytes() if output is not None and output.exists() else done.stdout
    try:
        return json.loads(text)
    except ValueError:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise CannotRun(f"{command[0]} ended with {done.returncode} and no report: {said[:2000]}") from None


def spectral(name: str, document: Path) -> list[Finding]:
    """Spectral with the ruleset of this name."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "report.json"
        options = ["--ruleset", f"{name}.yaml", "--format", "json", "--output", str(output), "--quiet"]
        found = _report(["spectral", "lint", str(document), *options], output)
    return [
        Finding(name, each["code"], SEVERITIES[each["severity"]], _pointer(each["path"]), each["message"])
        for each in found
    ]


def redocly(name: str, document: Path) -> list[Finding]:
    """Redocly with redocly-strict.yaml."""
    options = ["--config", "redocly-strict.yaml", "--format", "json", "--max-problems", "1000000"]
    found = _report(["redocly", "lint", str(document), *options])["problems"]
    levels = {"error": "error", "warn": "warning"}
    return [
        Finding(
            name, each["ruleId"], levels[each["severity"]], each["location"][0].get("pointer", "#/"), each["message"]
        )
        for each in found
    ]


LINTERS = (
    Linter("spectral-oas", spectral, "hint"),
    Linter("redocly", redocly, "warning"),
    Linter("spectral-owasp", spectral, "error"),
    Linter("spectral-zalando", spectral, "error"),
)


def _pointer(path: Iterable[Any]) -> str:
    return "#/" + "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _exemptions() -> list[Exemption]:
    return [Exemption(**each) for each in yaml.safe_load((HERE / "exceptions.yaml").read_text())]


def judge(linters: Iterable[Linter], document: Path) -> tuple[list[Finding], list[Finding], list[Finding]]:
    """What fails, what is only worth knowing, and what stands on purpose."""
    failing: list[Finding] = []
    telling: list[Finding] = []
    exempt: list[Finding] = []
    exemptions = _exemptions()
    names = set()
    for linter in linters:
        names.add(linter.name)
        for finding in linter.run(linter.name, document):
            cover = next((each for each in exemptions if each.covers(finding)), None)
            if cover is not None:
                cover.covered += 1
                exempt.append(finding)
            else:
                (failing if linter.fails(finding) else telling).append(finding)
    for each in exemptions:
        if each.linter in names and not each.covered:
            failing.append(
                Finding(each.linter, each.rule, "error", "exceptions.yaml", "This exception covers no finding.")
            )
    return failing, telling, exempt


def _print(title: str, findings: list[Finding], examples: int | None) -> None:
    groups: dict[tuple[str, str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        groups[finding.linter, finding.rule, finding.severity].append(finding)
    print(f"\n{title}: {len(findings)}")
    for (linter, rule, severity), group in groups.items():
        print(f"  {len(group):5}  {linter}  {rule}  ({severity})")
        for finding in group[:examples]:
            print(f"           {finding.pointer}: {' '.join(finding.message.split())[:200]}")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Lint the OpenAPI document.")
    parser.add_argument("--document", type=Path, default=DOCUMENT, help="another document than openapi/simpul.json")
    parser.add_argument("--only", nargs="+", choices=[each.name for each in LINTERS], help="only these linters")
    parser.add_argument("--rule", help="only this rule")
    parser.add_argument("--all", action="store_true", help="every place, not the first few of each rule")
    parser.add_argument("--json", action="store_true", help="the findings as JSON")
    given = parser.parse_args()
    chosen = [each for each in LINTERS if not given.only or each.name in given.only]
    try:
        lists = judge(chosen, given.document.resolve(strict=True))
    except (CannotRun, OSError) as problem:
        print(problem, file=sys.stderr)
        return 2
    failing, telling, exempt = ([each for each in some if given.rule in {None, each.rule}] for some in lists)
    if given.json:
        print(json.dumps({"failing": _plain(failing), "telling": _plain(telling), "exempt": _plain(exempt)}, indent=1))
    else:
        examples = None if given.all else EXAMPLES
        _print("Fails", failing, examples)
        _print("Below what fails, for information", telling, examples if given.all else 0)
        _print("Stands on purpose (exceptions.yaml)", exempt, 0)
        counts = Counter(each.linter for each in failing)
        print("\n" + "  ".join(f"{each.name}: {counts[each.name]}" for each in chosen))
    return 1 if failing else 0


def _plain(findings: list[Finding]) -> list[dict[str, str]]:
    return [asdict(each) for each in findings]


if __name__ == "__main__":
    sys.exit(main())
