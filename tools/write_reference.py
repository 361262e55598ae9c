"""Writes the reference pages that are made from the code: problems, settings, command line, connectors."""

from __future__ import annotations

from pathlib import Path
from app.api.layer.problems import PROBLEMS
from app.faults import CODES
from app.settings import Settings
from app.agent.commands import COMMANDS as AGENT
from app.cli.main import build
from app.connectors.capabilities import Capabilities
import inspect, ast, textwrap

CLI = build()
R = Path(__file__).resolve().parents[1] / "docs" / "reference"
L = [
    "# Problems\n",
    "Every answer that is not 2xx is an RFC 9457 problem with a stable `code`, but for `/oauth/token`, which answers as RFC 6749 section 5.2 says. The same pages stand at `/problems/{slug}` of a running gateway, in Indonesian and English.\n",
    "| code | status | what it means | what to do |",
    "|---|---|---|---|",
]
for k in sorted(PROBLEMS.values(), key=lambda k: (k.status, k.code)):
    L.append(f"| `{k.code}` | {k.status} | {k.title_en} | {k.advice_en} |")
L += [
    "\n## Places\n",
    "Of a body or manifest `errors` names each place that does not fit: `pointer` (RFC 6901), `detail`, and a `code`. Every body uses these; members with rules of their own have further ones, e.g. `field_unknown` or `limit_out_of_range`. A null says what an absent member says where the OpenAPI document lets it stand; anywhere else it is `type`, or the member's own code.\n",
    "| code | what it means |",
    "|---|---|",
    *(f"| `{code}` | {told} |" for code, told in CODES.items()),
]
(R / "problems.md").write_text("\n".join(L) + "\n")
L = [
    "# Settings\n",
    "Settings come from the environment; what `simpul init` fixed stands in `DIR/instance.json`, the environment wins (`simpul init` itself takes name, region, base URL and origin from its options alone). Units stand last in the names.\n",
    "| variable | default | what it is |",
    "|---|---|---|",
]
for n, f in Settings.model_fields.items():
    L.append(f"| `SIMPUL_{n.upper()}` | `{f.default}` | {f.description} |")
L.append(
    "\n`SIMPUL_SECRET_KEY` (32 bytes, base64url) replaces the key file `DIR/keys/seal.key`; several keys separated by blanks, the first seals."
)
(R / "settings.md").write_text("\n".join(L) + "\n")
L = [
    "# Command line\n",
    "Exit codes: 0 good, 1 a finding (verification failed, check failed), 2 wrong usage or a broken set-up. `--dir` is the instance's folder (default `.simpul`).\n",
    "On the folder itself: `simpul init`, `simpul serve`, `simpul demo`, `simpul db …`, `simpul codes load`, `simpul user create`, `simpul user reset`, `simpul client create`, `simpul log …`, `simpul backup`, `simpul restore`, `simpul openapi`, `simpul extensions`. `simpul witness serve` is a server of its own; `simpul agent …` runs on an agency's own machine. All others speak HTTP to a running gateway (`--url` or `SIMPUL_URL`; credentials from `SIMPUL_CLIENT_ID`, `SIMPUL_CLIENT_SECRET` or a profile file of mode 0600).\n",
    "| command | what it does |",
    "|---|---|",
]


def doc(c):
    return (inspect.getdoc(c.callback) or "").splitlines()[0]


for c in CLI.registered_commands:
    L.append(f"| `simpul {c.name}` | {doc(c)} |")
    if c.name == "agent":
        L.extend(f"| `simpul agent {name}` | {text} |" for name, text in AGENT.items())
for g in CLI.registered_groups:
    for c in g.typer_instance.registered_commands:
        L.append(f"| `simpul {g.name} {c.name}` | {doc(c)} |")
(R / "cli.md").write_text("\n".join(L) + "\n")
src = ast.parse(Path(__file__).resolve().parents[1].joinpath("app/connectors/capabilities.py").read_text())
cls = [n for n in src.body if isinstance(n, ast.ClassDef)][0]
L = [
    "# Connectors\n",
    "A connector is data: a manifest that names a source and maps its fields to a shared schema. How to write one: [connect an agency](../how-to/connect-an-agency.md); every key and step with an example: [manifest](manifest.md).\n",
    "Installed packages may bring further kinds ([how one is written](../tutorials/write-a-connector-kind.md)): `simpul extensions` and `/status` list them, the JSON Schema of a manifest and",
    "`discover` know them. Where such a package is refused or gone, its connectors say so (`manifest_invalid`, with the reason) and all others answer; an error that it raises is",
    "`source_failed` of its own source.\n",
    "## Kinds\n",
    "| kind | reads |",
    "|---|---|",
    "| `sql` | a table, view or one SELECT of PostgreSQL, MySQL or MariaDB, of Oracle with the extra `simpul[oracle]` (not tried on a live server yet); an SQLite file in the agency's folder |",
    "| `file` | in the agency's inbox (also inside a ZIP or packed by gzip), at an http(s) address, in an S3-compatible store or on an SFTP server: CSV, XLSX, XLS, XLSB, ODS, HTML tables and Excel 2003 XML (also where they are called `.xls`), XML, JSON, NDJSON, GeoJSON, Parquet, dBASE, Shapefile, GeoPackage, KML, SPSS with the extra `simpul[spss]` |",
    "| `rest` | JSON or XML over HTTP, asked by GET or POST: page, offset, cursor, next-link paging, or by the name of a make (Laravel, Django REST framework, OData, ArcGIS); basic, bearer, API key, OAuth 2.0 client credentials |",
    "| `ogc` | a collection of features: OGC API Features (all pages by their links, `bbox`, `datetime`; conditions go to servers that state how they filter), WFS 2 |",
    "| `ckan` | a CKAN resource (datastore, else the file behind it), or a portal's packages |",
    "| `gateway` | another Simpul: the records of a shared schema with their origin, its partial answers, its receipts |",
    "",
    "## Capabilities\n",
    'What a source can do itself. Every default is "cannot"; a capability never changes an answer, only who computes it.\n',
    "| capability | meaning |",
    "|---|---|",
]
body = cls.body
for i, n in enumerate(body):
    if isinstance(n, ast.AnnAssign):
        d = (
            body[i + 1].value.value
            if i + 1 < len(body) and isinstance(body[i + 1], ast.Expr)
            else {
                "limit": "",
                "filter_exactness": "`exact`, `superset` or `none`: whether what comes back is all and only what was asked",
                "concurrent_scans": "Scans at once",
            }.get(n.target.id, "")
        )
        L.append(f"| `{n.target.id}` | {' '.join(d.split())} |")
L += [
    "",
    "## Mapping steps\n",
    'A field is the name of a raw column, or a mapping with one of `from`, `const`, `expr`, `when` and steps in the order written. A value that a step cannot convert rejects the record; `else: "null"` nulls the field instead, with a warning on the record.\n',
    "| step | what it does |",
    "|---|---|",
]
from app.datasets.mapping.steps import STEPS

for n, f in STEPS.items():
    L.append(f"| `{n}` | {(inspect.getdoc(f) or '').splitlines()[0]} |")
L.append(
    "| `each` | `each: {fields: {…}}` maps every object of a list; `each: {text: squeeze}` takes every item through steps. |"
)
(R / "connectors.md").write_text("\n".join(L) + "\n")
