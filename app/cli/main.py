"""The console script `simpul`: all commands on one page."""

from __future__ import annotations

import os

import typer

from app.cli import (
    apply,
    backups,
    demo,
    extensions,
    instance,
    local,
    logs,
    remote_codes,
    remote_commands,
    token_keys,
    witness,
)
from app.telemetry import configure_command

app = typer.Typer(
    name="simpul",
    help="Simpul: one question to all agencies, an honest answer, a provable record.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("init")(instance.init)
app.command("serve")(instance.serve)
app.command("demo")(demo.demo)
app.command("apply")(apply.apply)
app.command("backup")(backups.backup)
app.command("restore")(backups.restore)
app.command("openapi")(instance.write_openapi)
app.command("extensions")(extensions.list_extensions)


@app.command(
    "agent",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
def agent(given: typer.Context) -> None:
    """Push files and results of queries into an agency's inbox, on a schedule (from the agency's own machine)."""
    from app.agent.commands import main as run

    raise typer.Exit(run(given.args))


db = typer.Typer(help="The database of an instance.", no_args_is_help=True)
db.command("upgrade")(instance.db_upgrade)
db.command("current")(instance.db_current)
app.add_typer(db, name="db")

codes = typer.Typer(help="Region codes and crosswalks.", no_args_is_help=True)
codes.command("load")(instance.load_code_list)
codes.command("list")(remote_codes.list_codes)
codes.command("lookup")(remote_codes.lookup_code)
codes.command("crosswalk")(remote_codes.crosswalk_code)
app.add_typer(codes, name="codes")

user = typer.Typer(help="People, straight in the store.", no_args_is_help=True)
user.command("create")(local.create_user)
user.command("reset")(local.reset_user)
app.add_typer(user, name="user")

keys = typer.Typer(help="Keys that sign access tokens.", no_args_is_help=True)
keys.command("rotate")(token_keys.rotate)
keys.command("list")(token_keys.show)
app.add_typer(keys, name="keys")

log = typer.Typer(help="The exchange log.", no_args_is_help=True)
log.command("verify")(logs.verify_log)
log.command("verify-receipt")(logs.verify_receipt)
log.command("export")(logs.export_log)
log.command("verify-tiles")(logs.verify_tiles)
log.command("vkey")(logs.show_vkey)
app.add_typer(log, name="log")

witnesses = typer.Typer(help="Being a witness for another log.", no_args_is_help=True)
witnesses.callback()(lambda: None)
witnesses.command("serve")(witness.serve)
app.add_typer(witnesses, name="witness")

for name, group in remote_commands.GROUPS.items():
    app.add_typer(group, name=name)


def main() -> None:
    """Entry point of the console script. What any command writes is for this user alone."""
    os.umask(0o077)
    configure_command()
    app()
