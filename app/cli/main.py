"""The console script `simpul`: all commands on one page. A command is imported when it is called: `simpul serve` needs the gateway,
`simpul client list` does not.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final

import typer

from app.telemetry import configure_command

COMMANDS: Final[Mapping[str, str]] = {
    "init": "instance:init",
    "serve": "serving:serve",
    "demo": "demo:demo",
    "apply": "apply:apply",
    "backup": "backups:backup",
    "restore": "backups:restore",
    "openapi": "serving:write_openapi",
    "extensions": "extensions:list_extensions",
}
"""Where each command stands: the module of this room and the name within it."""

GROUPS: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "db": (
        "The database of an instance.",
        {"upgrade": "instance:db_upgrade", "current": "instance:db_current"},
    ),
    "codes": (
        "Region codes and crosswalks.",
        {
            "load": "instance:load_code_list",
            "list": "remote_codes:list_codes",
            "lookup": "remote_codes:lookup_code",
            "crosswalk": "remote_codes:crosswalk_code",
        },
    ),
    "user": ("People, straight in the store.", {"create": "local:create_user", "reset": "local:reset_user"}),
    "keys": ("Keys that sign access tokens.", {"rotate": "token_keys:rotate", "list": "token_keys:show"}),
    "log": (
        "The exchange log.",
        {
            "verify": "logs:verify_log",
            "verify-receipt": "logs:verify_receipt",
            "export": "logs:export_log",
            "verify-tiles": "logs:verify_tiles",
            "vkey": "logs:show_vkey",
        },
    ),
    "witness": ("Being a witness for another log.", {"serve": "witness:serve"}),
    "agency": ("Member organisations.", {"list": "remote_commands:list_agencies"}),
    "client": (
        "Credentials of applications.",
        {
            "list": "remote_commands:list_clients",
            "create": "local:create_local_client",
            "keys": "remote_commands:put_client_keys",
            "enrolment": "enrolling:open_enrolment",
            "enrol": "enrolling:enrol",
        },
    ),
    "connector": (
        "Connectors of an agency.",
        {
            "list": "remote_commands:list_connectors",
            "check": "remote_commands:check_connector",
            "new": "new_connector:new_connector",
            "discover": "remote_commands:discover_connector",
            "suggest": "remote_commands:suggest_connector",
            "schema": "new_connector:write_schema",
            "preview": "remote_commands:preview_connector",
            "publish": "remote_commands:publish_connector",
            "join": "remote_commands:join_connector",
            "suspend": "remote_commands:suspend_connector",
            "quarantine": "remote_commands:quarantine_connector",
            "quality": "connector_quality:show_quality",
        },
    ),
    "agreement": ("Agreements between agencies.", {"list": "remote_commands:list_agreements"}),
    "secret": ("Secrets of sources.", {"put": "remote_commands:put_secret"}),
    "exchange": ("The exchange log, for auditors.", {"list": "remote_commands:list_exchanges"}),
}
"""Groups of commands, each with what it is about."""


def agent(given: typer.Context) -> None:
    """Push files and results of queries into an agency's inbox, on a schedule (from the agency's own machine)."""
    from app.agent.commands import main as run

    raise typer.Exit(run(given.args))


def build(words: Sequence[str] = ()) -> typer.Typer:
    """The command line. `words`, what was called, leaves out what they do not need; without them, or with help, it is whole."""
    app = typer.Typer(
        name="simpul",
        help="Simpul: one question to all agencies, an honest answer, a provable record.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    app.callback()(lambda: None)
    first, second = (*words[:2], "", "")[:2]
    whole = first not in COMMANDS and first not in GROUPS
    _add(app, COMMANDS, "" if whole else first)
    if whole:
        options = {"ignore_unknown_options": True, "allow_extra_args": True}
        app.command("agent", add_help_option=False, context_settings=options)(agent)
    for name, (about, commands) in GROUPS.items():
        if whole or first == name:
            group = typer.Typer(help=about, no_args_is_help=True)
            group.callback()(lambda: None)
            _add(group, commands, second if not whole and second in commands else "")
            app.add_typer(group, name=name)
    return app


def _add(group: typer.Typer, commands: Mapping[str, str], wanted: str) -> None:
    """The wanted command, or all of them."""
    for name, stands in commands.items():
        if wanted in {"", name}:
            module, _, function = stands.partition(":")
            group.command(name)(getattr(importlib.import_module(f"app.cli.{module}"), function))


def main() -> None:
    """Entry point of the console script. What any command writes is for this user alone."""
    os.umask(0o077)
    configure_command()
    build(sys.argv[1:])()
