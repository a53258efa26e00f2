"""The commands of the Makefile: what they do, what they leave behind."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from choreo_insights_cli.commands.cost_counts import of_aws
from choreo_insights_cli.paths import ROOT
from dev.local.paths import Folder
from tests.integration import processes
from tests.integration.conftest import Deployment


def settings(env: Path) -> dict[str, str]:
    """What a shell has after `. env`."""
    script = f". {env} && env -0"
    text = subprocess.run(
        ["/bin/sh", "-c", script],
        check=True,
        capture_output=True,
        encoding="utf-8",
        env={},
    ).stdout
    return dict(line.split("=", 1) for line in text.split("\0") if line)


def environment(folder: Folder, **variables: str) -> dict[str, str]:
    """The terminal of a user who has no settings of AWS, but for those given."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    paths = os.pathsep.join((str(ROOT), str(ROOT / "layers" / "insights")))
    return mine | {"LOCAL_DIR": str(folder.path), "PYTHONPATH": paths} | variables


def command(name: str, folder: Folder, **variables: str) -> subprocess.CompletedProcess[str]:
    """Deploys or stops, as the Makefile does."""
    return _run(folder, "dev.local", name, variables=variables)


def insights(
    folder: Folder, *arguments: str, stdin: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Runs a command of `insights`."""
    return _run(folder, "choreo_insights_cli", *arguments, stdin=stdin, variables=variables)


def _run(
    folder: Folder, module: str, *arguments: str, stdin: str = "", variables: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environment(folder, **variables),
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def test_everything_listens_on_this_machine_alone(deployment: Deployment) -> None:
    if not processes.HERE:
        pytest.skip("reads /proc")
    aws = deployment.state.aws
    assert aws
    deployment.token("status")  # so that a function's process is among them

    # The sandbox is part of this process.
    addresses = processes.listening({os.getpid()} | processes.of_group(aws.process.pid))

    assert any(address.endswith(f":{aws.port:04X}") for address, _ in addresses)
    assert {address for address, loopback in addresses if not loopback} == set()


def test_token_shows_each_organisation(deployment: Deployment) -> None:
    shell = settings(deployment.folder.env)
    deployment.token("ensure")

    done = insights(deployment.folder, "token", "status", **shell)

    assert done.returncode == 0, done.stderr
    for handle in deployment.world.organizations:
        assert re.search(
            rf"^{handle} +cached, expires .*Z, fingerprint \w{{16}}, minted with the stored .*$",
            done.stdout,
            re.M,
        )


def test_export_shows_the_reply(deployment: Deployment) -> None:
    shell = settings(deployment.folder.env)
    chosen = ("--tables", "environments", "--org", "acme", "--force")

    machine = insights(deployment.folder, "export", *chosen, "--json", **shell)
    reader = insights(deployment.folder, "export", *chosen, **shell)

    assert (machine.returncode, reader.returncode) == (0, 0), machine.stderr + reader.stderr
    assert json.loads(machine.stdout)["exported"] == 1
    assert reader.stdout.startswith("exported 1, settled ")


def test_logs_show_what_was_done(deployment: Deployment) -> None:
    shell = settings(deployment.folder.env)
    deployment.export(tables=["environments"], force=True)

    done = insights(deployment.folder, "logs", **shell)
    lines = insights(deployment.folder, "logs", "token", "--since", "2d", "--json", **shell)

    assert (done.returncode, lines.returncode) == (0, 0), done.stderr + lines.stderr
    assert re.search(r"^20\d\d-.*INFO +exported exported=\d+ ", done.stdout, re.M)
    assert "_aws" not in done.stdout
    assert all("message" in json.loads(line) for line in lines.stdout.splitlines())


def test_queries_are_answered_as_by_athena(deployment: Deployment) -> None:
    shell = settings(deployment.folder.env) | {"XDG_CACHE_HOME": str(deployment.cache)}
    deployment.complete()
    sql = "SELECT day, sum(requests) AS requests FROM traffic_daily GROUP BY 1 ORDER BY 1"

    def ask(*arguments: str) -> subprocess.CompletedProcess[str]:
        return insights(deployment.folder, "query", *arguments, **shell)

    found = json.loads(ask(sql, "--json").stdout)
    assert [row["day"] for row in found] == [
        str(deployment.since + timedelta(days=number)) for number in range(len(found))
    ]
    assert all(row["requests"] > 0 for row in found[:-1])
    lines = ask(sql).stdout.splitlines()
    assert lines[0] == "day,requests"
    assert lines[1:] == [f"{row['day']},{row['requests']}" for row in found]
    saved = ask("--saved", "what_is_missing", "--csv")
    assert saved.returncode == 0, saved.stderr
    wrong = ask("SELECT nothing FROM traffic_daily")
    assert wrong.returncode == 2
    assert "nothing" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_the_cost_is_that_of_what_was_counted(deployment: Deployment) -> None:
    shell = settings(deployment.folder.env) | {"XDG_CACHE_HOME": str(deployment.cache)}
    deployment.export()

    done = insights(deployment.folder, "cost", "--json", **shell)

    assert done.returncode == 0, done.stderr
    month = json.loads(done.stdout)["month"]
    largest = max(
        len(environment.apis)
        for organization in deployment.world.organizations.values()
        for environment in organization.environments
    )
    assert 0 < month["inputs"]["apis"] <= largest
    assert month["inputs"]["organizations"] == len(deployment.world.organizations)
    assert month["usd"] > 0
    # The ledger has whole days, and this stack is younger: only AWS's counts are there.
    now = datetime.now(UTC)
    counts = of_aws(deployment.stack, now - timedelta(days=2), now + timedelta(hours=1))
    assert counts["objects"] == len(deployment.objects())
    assert counts["invocations"] > 0
    assert counts["seconds"] > 0


def test_secret_is_stored_from_a_pipe(deployment: Deployment) -> None:
    shell = settings(deployment.folder.env)
    content = {"consumer_key": "k", "consumer_secret": "hush", "org_id": "an id"}

    first = insights(deployment.folder, "secret", "initech", stdin=json.dumps(content), **shell)
    content["consumer_secret"] = "hush-hush"
    again = insights(deployment.folder, "secret", "initech", stdin=json.dumps(content), **shell)

    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    assert "hush" not in first.stdout + first.stderr + again.stdout + again.stderr
    stored = deployment.stack.secrets.get_secret_value(SecretId="choreo-insights/initech")
    assert json.loads(stored["SecretString"]) == content | {"org_handle": "initech"}


def test_secret_is_asked_for_without_echo(deployment: Deployment) -> None:
    uuid = "11111111-2222-4333-8444-555555555555"
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "choreo_insights_cli", "secret", "umbrella"],
        cwd=ROOT,
        env=environment(deployment.folder, **settings(deployment.folder.env)),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as asking:
        os.close(theirs)
        shown, answered = "", 0
        for question, answer in (
            ("Consumer key of", "hush-key"),
            ("Consumer secret of", "hush-secret"),
            ("UUID of", "hush-id"),
            ("UUID of", uuid),
            ("On-prem", ""),
        ):
            while question not in shown[answered:]:
                shown += os.read(ours, 1024).decode()
            answered = len(shown)
            os.write(ours, f"{answer}\n".encode())
        while "Stored as choreo-insights/umbrella" not in shown:
            shown += os.read(ours, 1024).decode()
    os.close(ours)

    assert asking.returncode == 0
    assert "hush" not in shown
    assert uuid not in shown
    assert "does not export umbrella" in shown
    assert "It is not a UUID" in shown
    stored = deployment.stack.secrets.get_secret_value(SecretId="choreo-insights/umbrella")
    assert json.loads(stored["SecretString"]) == {
        "consumer_key": "hush-key",
        "consumer_secret": "hush-secret",
        "org_id": uuid,
        "org_handle": "umbrella",
    }


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        ("", "JSON object"),
        ('{"consumer_key": "hush"}', "consumer_secret"),
        ('{"consumer_key": "k", "consumer_secret": "hush"}', "org_id"),
        ('{"consumer_key": "k", "consumer_secret": "hush", "org_id": "i", "key": "hush"}', "key"),
        (
            '{"consumer_key": "k", "consumer_secret": "hush", "org_id": "i", "org_handle": "no"}',
            "another organisation",
        ),
    ],
)
def test_a_secret_that_is_of_no_use_is_not_stored(
    deployment: Deployment, content: str, wrong: str
) -> None:
    shell = settings(deployment.folder.env)

    done = insights(deployment.folder, "secret", "hooli", stdin=content, **shell)

    assert done.returncode == 2
    assert wrong in done.stderr
    assert "hush" not in done.stdout + done.stderr
    listed = deployment.stack.secrets.list_secrets()["SecretList"]
    assert "choreo-insights/hooli" not in {secret["Name"] for secret in listed}


def test_restore_brings_back_what_was_overwritten_and_deleted(deployment: Deployment) -> None:
    shell = settings(deployment.folder.env)
    deployment.complete()
    folder = "insights/success_summary/"
    there = deployment.objects(folder)
    overwritten, deleted, *_ = sorted(there)
    at = datetime.now(UTC).isoformat()
    stack, other = deployment.stack, next(iter(deployment.objects("insights/latency/").values()))
    bucket = stack.outputs["DatasetBucketName"]
    stack.s3.put_object(Bucket=bucket, Key=overwritten, Body=other)
    stack.s3.delete_object(Bucket=bucket, Key=deleted)
    chosen = ("restore", "--before", at, "--tables", "success_summary")

    listed = insights(deployment.folder, *chosen, "--dry-run", **shell)
    done = insights(deployment.folder, *chosen, "--json", **shell)
    again = insights(deployment.folder, *chosen, **shell)

    assert [line.split(" as of ")[0] for line in listed.stdout.splitlines()[:2]] == [
        *(overwritten, deleted)
    ]
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["tables"][0]["restore"] == 2
    assert deployment.objects(folder) == there
    assert "There is nothing to restore." in again.stdout
