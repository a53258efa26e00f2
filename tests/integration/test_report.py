"""The report function as it is deployed, and the command over the same dataset."""

import csv
import io
import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from choreo_insights.report.month import Month
from choreo_insights_cli.commands.report import report, write
from dev.sandbox.expected import expected_rows
from tests.integration.conftest import Deployment
from tests.integration.test_stack import client

HANDLE = "acme"


@pytest.fixture(scope="module")
def queue(deployed: Deployment) -> Any:
    """A queue that gets what is published to the topic of alarms."""
    sqs = client(deployed, "sqs")
    url = sqs.create_queue(QueueName="reports")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    topic = deployed.stack.outputs["AlarmTopicArn"]
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn["QueueArn"],
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    client(deployed, "sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["QueueArn"])
    return lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5).get("Messages", [])


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def requests(deployment: Deployment) -> int:
    """What the generator says of the month's days that are stored."""
    total = 0
    month = Month.of(deployment.now.date())
    day = max(deployment.since, month.first)
    while day <= deployment.now.date():
        for environment in deployment.world.organization(HANDLE).environments:
            (row,) = expected_rows(
                deployment.world, "total_traffic", HANDLE, environment.name, day, deployment.now
            )
            total += row["total_traffic"]
        day += timedelta(days=1)
    return total


def test_the_report_is_written_and_published(deployment: Deployment, queue: Any) -> None:
    deployment.complete()
    month = str(Month.of(deployment.now.date()))
    reply = deployment.stack.call("ReportFunctionName", {"month": month, "organizations": [HANDLE]})
    (outcome,) = reply["reports"]
    assert outcome["status"] == "written"
    assert outcome["state"].startswith("not final yet (open: ")
    place = f"reports/{month}/{HANDLE}/"
    files = {key.removeprefix(place): body for key, body in deployment.objects(place).items()}
    assert {"report.html", "totals.csv", "days.csv"} <= files.keys()
    assert "Not final yet." in files["report.html"].decode()
    totals = rows(files["totals.csv"].decode())
    assert sum(int(row["requests"] or 0) for row in totals) == requests(deployment)

    (message,) = queue()
    said = json.loads(message["Body"])
    assert said["Subject"] == f"API usage of {HANDLE}, {month}: not final yet"
    assert outcome["location"] in said["Message"]


def test_the_schedule_finds_nothing_before_the_export_begins(deployment: Deployment) -> None:
    reply = deployment.stack.call("ReportFunctionName", {})
    last = Month.of(deployment.now.date()).previous
    wanted = "no data" if deployment.since > last.last else "waiting"
    found = {each["status"] for each in reply["reports"]}
    assert found <= {wanted, "written", "there"}
    assert {each["month"] for each in reply["reports"]} == {str(last)}


def test_the_command_has_the_same_figures_and_amounts(
    deployment: Deployment, tmp_path: Path
) -> None:
    deployment.complete()
    month = Month.of(deployment.now.date())
    made = report(deployment.stack, HANDLE, month, deployment.now)
    page = write(made, tmp_path)
    assert "Synthetic data from the sandbox" in page.read_text("utf-8")
    assert sum(each.now.requests or 0 for each in made.figures.totals) == requests(deployment)

    consumer = made.figures.consumers[0]
    file = tmp_path / "prices.toml"
    file.write_text(
        'currency = "EUR"\n[[plans]]\nname = "Each"\nper_thousand = 1000\n'
        f'[[applications]]\norganization = "{HANDLE}"\nplan = "Each"\nsince = 2020-01-01\n'
        f"application = {json.dumps(consumer.application_id or consumer.application)}\n",
        "utf-8",
    )
    priced = report(deployment.stack, HANDLE, month, deployment.now, prices=file)
    assert priced.bill
    billed = sum(line.billed for line in priced.bill.lines)
    assert priced.bill.total == Decimal(billed) > 0
