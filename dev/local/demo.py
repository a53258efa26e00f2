"""`make demo`: the whole path on one machine, from credentials to SQL over the dataset."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from choreo_insights.http import Http
from choreo_insights.report.month import Month
from choreo_insights_cli import options, output
from choreo_insights_cli.commands import dashboard, query, report, token
from choreo_insights_cli.commands.doctor import show as doctor
from choreo_insights_cli.commands.doctor.command import diagnose
from choreo_insights_cli.commands.doctor.findings import DoctorReport
from choreo_insights_cli.commands.doctor.settings import DoctorOptions
from choreo_insights_cli.errors import CommandError
from choreo_insights_cli.paths import ROOT, STACK_NAME
from choreo_insights_cli.stack import Stack
from dev.local import deploy, schedule, up
from dev.local.paths import Folder
from dev.local.state import LocalState
from dev.local.steps import Steps

_SQL = ROOT / "dev/local/sql"


def folder_of(folder: Folder) -> Folder:
    """The demo's own folder, so that a stack of `make local` is not touched."""
    return Folder(folder.path / "demo")


def main(folder: Folder) -> None:
    """Shows everything, then stops everything unless KEEP=1.

    Raises CommandError; the caller then stops what was started.
    """
    folder = folder_of(folder)
    state = LocalState.load(folder)
    state.stop(folder)
    keep = os.environ.get("KEEP", "") not in ("", "0")
    # Into a file or a pipe, tables need not be as narrow as an old terminal.
    console = Console(width=None if sys.stdout.isatty() else 110)
    Demo(folder, state, console).run(keep=keep)
    if not keep:
        state.stop(folder)


@dataclass
class Demo:
    """The steps of the demo."""

    folder: Folder
    state: LocalState
    console: Console

    def run(self, *, keep: bool) -> None:
        """Does the steps, then shows what came of them."""
        steps = Steps(self.console)
        self.console.print("[bold]Choreo Insights, exported to S3: all of it on this machine[/]\n")
        stack = self._deploy(steps)
        tokens = self._mint(steps, stack)
        self._export(steps, stack)
        with steps.step("Athena: SQL over the dataset") as step:
            if failed := asked(stack, "failed").records():
                raise CommandError(_failures(failed))
            written = asked(stack, "written")
            answer = asked(stack, "answer")
            step.note = "through the Glue tables"
        with steps.step("Views: display names, projects, the remainder") as step:
            apis = query.ask(stack, _sql("apis"))
            step.note = f"{len(apis.rows)} rows"
        with steps.step("Dashboard, drawn from the dataset") as step:
            out = self.folder.path / "dashboard.html"
            drawn = dashboard.draw(stack, self.folder.dataset, out, datetime.now(UTC))
            step.note = f"{drawn.megabytes:.1f} MB from {drawn.objects} objects"
        with steps.step("Monthly report of each organisation, so far") as step:
            reports = self._report(stack)
            step.note = f"{len(reports)} pages, with their CSV files"
        with steps.step("Doctor: the endpoints, and what the service answers") as step:
            diagnosis = self._diagnosed(stack)
            step.note = f"exit code {diagnosis.exit_code}"
        steps.total()
        self._show_tokens(tokens)
        place = f"s3://{stack.outputs['DatasetBucketName']}/insights/"
        self._show_answer(f"Partitions written to {place}", written)
        self._show_answer("SQL: traffic by environment and UTC day (synthetic)", answer)
        self._show_answer("SQL: yesterday's requests by API, of one organisation", apis)
        self.console.print("\n[bold]What the doctor says of the sandbox[/]")
        doctor.show(diagnosis, output.console())
        self._show_more(stack, keep=keep)
        self._show_pages(drawn, reports)

    def _deploy(self, steps: Steps) -> Stack:
        with steps.step("Local AWS") as step:
            up.start_aws(self.folder, self.state, iam=up.iam_wanted())
            assert self.state.aws  # noqa: S101 - narrows the type
            iam = "enforced" if self.state.aws.iam else "not enforced"
            step.note = f"{self.state.aws.endpoint}, IAM {iam}"
        with steps.step("Sandbox Choreo, with synthetic traffic") as step:
            up.start_choreo(self.folder, self.state, {})
            assert self.state.sandbox  # noqa: S101 - narrows the type
            step.note = self.state.sandbox.url
        with steps.step("sam build"):
            deploy.build_locally(self.folder)
        projects = self.state.sandbox.projects()
        named = {"Projects": ",".join(f"{name}={own_id}" for name, own_id in projects.items())}
        values = up.parameters(self.state, {}) | named | deploy.given_parameters()
        with steps.step("sam deploy") as step:
            deploy.deploy_locally(self.folder, self.state.aws, values)
            up.write_env(self.folder, self.state.aws)
            stack = Stack(STACK_NAME, self.state.aws.environment)
            step.note = f"stack {stack.name}, {len(stack.outputs)} outputs"
        with steps.step("Secrets stored") as step:
            up.store_secrets(self.state, values)
            step.note = values["Organizations"]
        return stack

    def _mint(self, steps: Steps, stack: Stack) -> dict[str, dict[str, Any]]:
        with steps.step("Token function: ensure") as step:
            tokens = token.call(stack, "ensure")
            step.note = ", ".join(f"{name} {entry['status']}" for name, entry in tokens.items())
            if any(entry["status"] == "failed" for entry in tokens.values()):
                raise CommandError("\n".join(token.lines(tokens)))
        return tokens

    def _export(self, steps: Steps, stack: Stack) -> None:
        with steps.step("Schedule: made to fire once, now") as step:
            before = set(schedule.ended_runs(stack))
            step.note = schedule.fire_once(stack)
        with steps.step("Export function, called by the schedule") as step:

            def progress() -> None:
                step.note = f"{_count(stack)} objects in the dataset"

            run = schedule.wait_for_run(stack, before, progress)
            progress()
            if not _count(stack):
                raise CommandError("The export wrote nothing. Its log:\n" + "\n".join(run.lines))

    def _show_tokens(self, tokens: dict[str, dict[str, Any]]) -> None:
        table = Table(title="The tokens, in SSM under the stack's own key", title_justify="left")
        for name in ("organisation", "expires", "fingerprint"):
            table.add_column(name)
        for handle, entry in tokens.items():
            table.add_row(handle, entry["expires_at"], entry["fingerprint"])
        self.console.print("\n", table)

    def _show_answer(self, title: str, answer: query.QueryResult) -> None:
        table = query.as_table(answer)
        table.title, table.title_justify = title, "left"
        self.console.print("\n", table)

    def _report(self, stack: Stack) -> list[Path]:
        """Writes the reports of this month; their pages."""
        now = datetime.now(UTC)
        month, handles = Month.of(now.date()), options.names(stack.parameters["Organizations"])
        made = [report.report(stack, handle, month, now) for handle in handles]
        return [report.write(each, self.folder.path) for each in made]

    def _diagnosed(self, stack: Stack) -> DoctorReport:
        """What `insights doctor` finds of the first organisation."""
        first, *_ = options.names(stack.parameters["Organizations"])
        return diagnose(DoctorOptions(organization=first), stack, str, Http())

    def _show_pages(self, drawn: dashboard.Drawn, reports: Sequence[Path]) -> None:
        lines = ["", "[bold]The dashboard[/], to open in a browser", f"  {drawn.path.as_uri()}"]
        lines += ["", "[bold]The monthly reports[/], to read and to print"]
        lines += [f"  {path.as_uri()}" for path in reports]
        self.console.print("\n".join(lines), highlight=False, soft_wrap=True)

    def _show_more(self, stack: Stack, *, keep: bool) -> None:
        lines = ["", "[bold]Where to look next[/]"]
        if keep:
            lines += [
                f"  . {os.path.relpath(self.folder.env):25} settings for your shell; then:",
                "  make status                 how the dataset stands",
                "  make query SQL='SELECT * FROM traffic_daily'",
                "  make export                 the export once more, by hand",
                "  make local-down             stops all of it",
                f"  {os.path.relpath(self.folder.path / 'logs'):27} logs of all that runs",
            ]
        else:
            lines.append("  KEEP=1 make demo            leaves everything running")
        lines += [
            "  make local                  the same stack, for development",
            "  make deploy                 the same template, on AWS",
            "  dev/local/sql/                  the queries of the demo",
        ]
        self.console.print("\n".join(lines), highlight=False, soft_wrap=True)


def asked(stack: Stack, name: str) -> query.QueryResult:
    """The rows of one of the demo's own queries."""
    return query.by_athena(stack, _sql(name))


def _sql(name: str) -> str:
    return (_SQL / f"{name}.sql").read_text("utf-8")


def _count(stack: Stack) -> int:
    pages = stack.s3.get_paginator("list_objects_v2").paginate(
        Bucket=stack.outputs["DatasetBucketName"], Prefix="insights/"
    )
    return sum(page["KeyCount"] for page in pages)


def _failures(rows: Sequence[Mapping[str, query.Value]]) -> str:
    lines = [f"{len(rows)} partitions could not be written:"]
    for row in rows[:10]:
        place = (row["table"], row["organization"], row["environment"], row["day"])
        lines.append(f"  {' '.join(str(part) for part in place if part)}: {row['error']}")
    return "\n".join(lines)
