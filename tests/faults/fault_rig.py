"""Where a fault is tried: a sandbox, a proxy before the deployed AWS, and the real handlers.

Several stations share one deployment; each has an organisation, so also a secret and a token of its
own, and a dataset bucket of its own, so also a request budget. The functions' roles are allowed in
it what they are allowed in the deployed one. Executions of the state machine are carried out by
the tests.
"""

import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from choreo_insights.catalogue import load
from choreo_insights.dataset.checks_table import CHECKS
from choreo_insights.dataset.ledger import RUNS
from choreo_insights.dataset.partitions import day_of, safe_name
from choreo_insights.dataset.registry_tables import REGISTRY_ENVIRONMENTS
from choreo_insights.dataset.store import VERSION_KEY
from choreo_insights_cli.paths import ROOT
from choreo_insights_cli.stack import Stack
from dev.sandbox import OrganizationSpec, SandboxServer, SandboxSettings, World
from dev.sandbox.world import EnvironmentSpec
from tests.fakes.asl import FailedError, Interpreter
from tests.fakes.states import FakeStates, Run
from tests.faults.proxy import AS, Proxy
from tests.integration.dataset import Place, Row, expected, found, places

# A list that others wait for, one that is stored alone, hours, a fan-out in fives, pages.
TABLES = (
    "environments",
    "apis",
    "success_summary",
    "api_usage_over_time",
    "resource_usage",
)
# What the export was when it was last in order: the past day is older, today is not there.
BEFORE = timedelta(hours=6)
_REQUEST_SECONDS = "2"
_INVOCATION_SECONDS = 300.0
# Characters of a log in a failure.
_LOG_TAIL = 6_000
# Seconds for a container that ends by itself to say why.
_LAST_WORDS = 10.0
_ROLES = {"export": "ExportRole", "token": "TokenRole"}
_POLICIES = ("export", "token")
_FUNCTIONS = {"export": "ExportFunctionName", "token": "TokenFunctionName"}
_DEFINITION = json.loads((ROOT / "statemachines" / "backfill.asl.json").read_text("utf-8"))
_JWT = re.compile(r"eyJ[\w-]{10,}\.[\w-]{4,}")


@dataclass(frozen=True)
class Ended:
    """How an invocation ended: with a reply, with an error, or its process was killed."""

    reply: dict[str, Any] | None = None
    error: str | None = None
    message: str = ""

    @property
    def report(self) -> dict[str, Any]:
        """The reply of an export; {} where the function raised or was killed."""
        return self.reply or {}

    @property
    def said(self) -> str:
        """All reasons that it gives."""
        reasons = [failure["reason"] for failure in self.report.get("failures", [])]
        return "\n".join([*reasons, "" if self.report else f"{self.error}: {self.message}"])

    @property
    def is_whole(self) -> bool:
        """Whether nothing failed, nothing is left, and nobody is waited for."""
        left = ("failed", "remaining", "waiting")
        return self.reply is not None and not any(self.reply[name] for name in left)


KILLED = Ended(error="Runtime.ExitError", message="Runtime exited with error: signal: killed")


class Container:
    """A function's process. It does one event at a time.

    `end` waits so many seconds for its end, then kills it. It returns how it ended: an exit status,
    or the negative number of a signal.
    """

    def __init__(
        self, connection: socket.socket, name: str, log: Path, end: Callable[[float], int]
    ) -> None:
        self.name = name
        # How it ended, where no test ended it.
        self.crash = ""
        self.alive = True
        self._connection = connection
        self._stream = connection.makefile("rw", encoding="utf-8")
        self._log = log
        self._end = end
        self._lock, self._ending = threading.Lock(), threading.Lock()

    def greet(self) -> None:
        """Waits until it is ready."""
        greeting = self._stream.readline()
        assert greeting, self._ended()
        assert json.loads(greeting) == {"name": self.name}

    def invoke(self, event: Any, seconds: float = _INVOCATION_SECONDS) -> Ended:
        """Gives it an event and waits for the end."""
        with self._lock:
            try:
                self._stream.write(json.dumps({"event": event, "seconds": seconds}) + "\n")
                self._stream.flush()
                line = self._stream.readline()
            except OSError:
                line = ""
        if line:
            return Ended(**json.loads(line))
        self.crash = self._ended() or self.crash
        return Ended(error=KILLED.error, message=self.crash) if self.crash else KILLED

    def kill(self) -> None:
        """Ends it as SIGKILL does: at once."""
        with self._ending:
            if self.alive:
                self.alive = False
                self._end(0)

    def _ended(self) -> str:
        """How it ended without being killed; nothing where it was."""
        with self._ending:
            if not self.alive:
                return ""
            self.alive = False
            status = self._end(_LAST_WORDS)
            log = self._log.read_text(errors="replace") if self._log.exists() else ""
            return f"{self.name} ended by itself with {status}: {log[-_LOG_TAIL:]}"

    def close(self) -> None:
        """Lets it end."""
        self.kill()
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        with suppress(OSError, ValueError):
            self._stream.close()
        self._connection.close()


@dataclass(frozen=True)
class Clock:
    """By how much a container's clock is wrong, and for which packages."""

    seconds: float = 0.0
    wrong_for: tuple[str, ...] = ("choreo_insights",)


RIGHT = Clock()


class Nursery(AbstractContextManager["Nursery"]):
    """The program that containers are forked from."""

    def __init__(self) -> None:
        path = os.pathsep.join((str(ROOT), str(ROOT / "layers" / "insights")))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.containers"],
            cwd=ROOT,
            env={"PATH": os.environ.get("PATH", ""), "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._lock = threading.Lock()

    def start(
        self, function: str, name: str, log: Path, environment: Mapping[str, str], clock: Clock
    ) -> Container:
        """A new container of the function `export` or `token`."""
        order = {
            "port": self._listener.getsockname()[1],
            "name": name,
            "function": name,
            "app": str(ROOT / "functions" / function / "app.py"),
            "log": str(log),
            "environment": dict(environment),
            "clock": clock.seconds,
            "wrong_for": clock.wrong_for,
        }
        with self._lock:
            pid = self._ask(start=order)
            self._listener.settimeout(300)
            connection, _ = self._listener.accept()
        connection.settimeout(None)
        container = Container(connection, name, log, lambda patience: self._end(pid, patience))
        container.greet()
        return container

    def _end(self, pid: int, patience: float) -> int:
        with self._lock:
            return self._ask(end={"pid": pid, "patience": patience})

    def _ask(self, **order: Any) -> int:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self._process.kill()
        self._process.communicate()


@dataclass
class Check:
    """What is wrong with what was stored: texts, none where all is right."""

    wrong: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return not self.wrong


class Station(AbstractContextManager["Station"]):
    """One place to try faults at."""

    def __init__(self, stack: Stack, number: int, folder: Path) -> None:
        self.handle = f"station-{number}"
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.since = self.now.date() - timedelta(days=1)
        self._stack = stack
        self._folder = folder
        self._exit = ExitStack()
        self._containers: list[Container] = []
        self._crashes: list[str] = []
        self._count = 0
        self._token: Container | None = None
        self._token_lock = threading.Lock()
        self._older: dict[str, bytes] = {}
        # By the environment's id.
        self.keys: dict[str, str] = {}
        self._known: dict[tuple[Place, datetime, int], list[Row]] = {}
        self._right: dict[tuple[str, bytes, tuple[datetime, ...]], bool] = {}
        self.nows: list[datetime] = []
        self.bucket = f"{stack.outputs['DatasetBucketName']}-{number}"
        self._roles = {kind: _Role(stack, name, self.bucket) for kind, name in _ROLES.items()}
        self._settings = {kind: self._environment(kind) for kind in _ROLES}

    # Set up

    def __enter__(self) -> "Station":
        world = World(seed=11, organizations=[_organization(self.handle)])
        settings = SandboxSettings(page_limit_max=7)
        self.sandbox = self._exit.enter_context(SandboxServer(world=world, settings=settings))
        aws = self._stack.s3.meta.endpoint_url
        self.proxy = self._exit.enter_context(Proxy(aws, self.sandbox.url, self._invoke))
        self.prefix = self._stack.parameters["SecretPrefix"]
        own = self.world.organization(self.handle)
        self.keys = {each.id: safe_name(each.name) for each in own.environments}
        self._nursery = self._exit.enter_context(Nursery())
        self._create_bucket()
        self.store_secret()
        self._exit.callback(self._end_containers)
        self.see(self.now - BEFORE)
        self.forget_tokens()
        ended = self.export()
        assert ended.is_whole, ended
        kept = f"day={self.since.isoformat()}/", "/registry_"
        objects = self.objects()
        self._older = {key: objects[key] for key in objects if any(part in key for part in kept)}
        self._wrong_is_none()
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def _create_bucket(self) -> None:
        region = {"LocationConstraint": self._stack.s3.meta.region_name}
        with suppress(self._stack.s3.exceptions.BucketAlreadyOwnedByYou):
            self._stack.s3.create_bucket(
                Bucket=self.bucket,
                CreateBucketConfiguration=region,  # type: ignore[arg-type]
            )
        self.reset_objects()

    @property
    def every_day(self) -> dict[str, Any]:
        """The event of a run that queries all days, also those whose next checkpoint is to come."""
        return {"from": self.since.isoformat()}

    @property
    def world(self) -> World:
        """Who is in the sandbox."""
        return self.sandbox.world

    def store_secret(self) -> None:
        """Stores the organisation's credentials anew, as a person does who rotates them."""
        name = f"{self.prefix}/{self.handle}"
        text = json.dumps(self.world.secret(self.handle))
        try:
            self._stack.secrets.create_secret(Name=name, SecretString=text)
        except self._stack.secrets.exceptions.ResourceExistsException:
            self._stack.secrets.put_secret_value(SecretId=name, SecretString=text)

    def reset(self) -> None:
        """As before each fault: an export that is hours old, a valid token, new containers."""
        self.calm()
        self._end_containers()
        self.forget_tokens()
        self.reset_objects()
        self.nows = [self.now - BEFORE]
        self.see(self.now)
        self.proxy.forget()
        self.proxy.states = FakeStates()
        self._right.clear()

    def reset_objects(self) -> None:
        """The export is hours old: the past day has less, and today is not there."""
        self.delete("")
        older = {**self._older, VERSION_KEY: b'{"version": 2}'}
        # No object of a day is newer than its checks.
        for key in sorted(older, key=lambda key: f"/{CHECKS}/" in key):
            self._stack.s3.put_object(Bucket=self.bucket, Key=key, Body=older[key])
        self.pass_checkpoint()

    def pass_checkpoint(self) -> None:
        """Open past days are due: their objects were written before the day ended."""
        evening = datetime.combine(self.since, time(23), UTC)
        self.proxy.written = dict.fromkeys(self._tags("insights/").values(), evening)

    def delete(self, folder: str) -> None:
        """Deletes all objects of a folder."""
        if keys := [{"Key": key} for key in self._tags(folder)]:
            self._stack.s3.delete_objects(Bucket=self.bucket, Delete={"Objects": keys})

    def see(self, now: datetime) -> None:
        """The sandbox's clock stands still at this instant from here on."""
        self.sandbox.settings.now = now
        self.nows.append(now)
        self.pass_checkpoint()

    def calm(self) -> None:
        """Ends all faults."""
        self.sandbox.faults.clear()
        self.proxy.replace()

    def forget_tokens(self) -> None:
        """No token is cached, and no mint or failure of one is remembered."""
        prefix = f"/{self._stack.name}"
        names = [f"{prefix}/{kind}/{self.handle}" for kind in ("token", "mint")]
        self._stack.ssm.delete_parameters(Names=names)
        self.sandbox.service.tokens.kill_all()

    def an_hour_later(self) -> None:
        """What a mint that died holds is an hour old, as it is for the next run of the schedule."""
        name = f"/{self._stack.name}/mint/{self.handle}"
        with suppress(self._stack.ssm.exceptions.ParameterNotFound):
            held = json.loads(self._stack.ssm.get_parameter(Name=name)["Parameter"]["Value"])
            if "until" in held:
                text = json.dumps(held | {"until": held["until"] - 3600})
                self._stack.ssm.put_parameter(Name=name, Value=text, Overwrite=True)
        self.expire_slots()

    def expire_slots(self) -> None:
        """What a run that was killed holds of the request budget is an hour old."""
        self.proxy.ages |= dict.fromkeys(self._etags("state/budget/").values(), 3600.0)

    # Containers

    def container(
        self, function: str = "export", clock: Clock = RIGHT, *, through_proxy: bool = False
    ) -> Container:
        """A new container. With `through_proxy` it reaches the sandbox by the proxy as well."""
        self._count += 1
        name = f"{function}-{self._count}"
        environment = self.surroundings(function, name, through_proxy=through_proxy)
        environment |= self._roles[function].credentials(name) | {
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_LAMBDA_FUNCTION_NAME": function,
            "PATH": os.environ.get("PATH", ""),
        }
        self.proxy.who[environment["AWS_ACCESS_KEY_ID"]] = name
        log = self._folder / f"{name}.log"
        container = self._nursery.start(function, name, log, environment, clock)
        self._containers.append(container)
        return container

    def surroundings(self, function: str, name: str, *, through_proxy: bool) -> dict[str, str]:
        """The settings of a function that runs at this station."""
        choreo = f"{self.proxy.url}{AS}{name}" if through_proxy else self.sandbox.url
        return self._settings[function] | {
            "AWS_ENDPOINT_URL": self.proxy.url,
            "ORGANIZATIONS": self.handle,
            "EXPORT_SINCE": self.since.isoformat(),
            "INSIGHTS_URL": self.sandbox.insights_url.replace(self.sandbox.url, choreo),
            "TOKEN_URL": self.sandbox.token_url.replace(self.sandbox.url, choreo),
            "REVOKE_URL": self.sandbox.revoke_url.replace(self.sandbox.url, choreo),
        }

    def tokens_by(self, clock: Clock = RIGHT, *, through_proxy: bool = False) -> Container:
        """From here on the token function is a container like this."""
        self._token = self.container("token", clock, through_proxy=through_proxy)
        return self._token

    def export(self, event: dict[str, Any] | None = None) -> Ended:
        """One run in a container of its own."""
        return self.container().invoke(event or {})

    def carry_out(self, run: Run, seconds: float, after: Callable[[Ended], None]) -> None:
        """Carries out an execution; `after` gets the end of each invocation, which has so long.

        Raises FailedError where the execution fails.
        """

        def task(resource: str, given: Any) -> Any:
            if resource.endswith("listMapRuns"):
                return {"MapRuns": [{"MapRunArn": run.name}]}
            if resource.endswith("describeMapRun"):
                done = sum(child.status == "SUCCEEDED" for child in run.children)
                return {"ItemCounts": {"Succeeded": done, "Total": len(run.children)}}
            ended = self.container().invoke(given["Payload"], seconds)
            after(ended)
            if ended.reply is None:
                raise FailedError(str(ended.error), ended.message)
            return {"Payload": ended.reply}

        def note(number: int, _: Any, error: FailedError | None, ended: bool) -> None:
            if ended:
                run.children[number].status = "FAILED" if error else "SUCCEEDED"

        machine = Interpreter(_DEFINITION, task, child=note)
        began = datetime.now(UTC).isoformat()
        machine.run(json.loads(run.input), {"Execution": {"StartTime": began, "Id": run.name}})
        run.status = "SUCCEEDED"

    def _end_containers(self) -> None:
        for container in self._containers:
            container.close()
        self._crashes += [each.crash for each in self._containers if each.crash]
        self._containers, self._token = [], None

    def _invoke(
        self, name: str, event: bytes, waits: bool, who: str | None
    ) -> tuple[bytes, str | None]:
        """Carries out an invocation that a container asks for."""
        assert name == self._settings["export"]["TOKEN_FUNCTION_NAME"], "it invokes itself"
        assert waits, who
        with self._token_lock:
            if self._token is None or not self._token.alive:
                self._token = self.container("token")
            container = self._token
        ended = container.invoke(json.loads(event), 120.0)
        if ended.error is None:
            return json.dumps(ended.reply).encode(), None
        failure = {"errorType": ended.error, "errorMessage": ended.message}
        return json.dumps(failure).encode(), "Unhandled"

    def _environment(self, function: str) -> dict[str, str]:
        """What the deployed function's environment is, but for places and sizes."""
        found = self._stack.functions.get_function_configuration(
            FunctionName=self._stack.outputs[_FUNCTIONS[function]]
        )
        return found["Environment"]["Variables"] | {
            "TABLES": ",".join(TABLES),
            "CONCURRENCY": "2",
            "BATCH_SIZE": "6",
            "MAX_BATCH_SIZE": "6",
            "REQUEST_SECONDS": _REQUEST_SECONDS,
            "DATASET_BUCKET": self.bucket,
        }

    # What is there, and what should be

    def objects(self, folder: str = "insights/") -> dict[str, bytes]:
        """The objects by key."""
        s3, tags = self._stack.s3, self._tags(folder)
        # What passed the proxy need not be fetched: its hash tells that it is the same.
        known = {hashlib.md5(stored.body).hexdigest(): stored.body for stored in self.proxy.stored}
        known |= {hashlib.md5(body).hexdigest(): body for body in self._older.values()}
        for key in [key for key, tag in tags.items() if tag not in known]:
            known[tags[key]] = s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return {key: known[tag] for key, tag in tags.items()}

    def _tags(self, folder: str) -> dict[str, str]:
        """MD5 of what the objects hold, by key."""
        return {key: etag.strip('"') for key, etag in self._etags(folder).items()}

    def _etags(self, folder: str) -> dict[str, str]:
        paginator = self._stack.s3.get_paginator("list_objects_v2")
        pages = paginator.paginate(Bucket=self.bucket, Prefix=folder)
        items = [item for page in pages for item in page.get("Contents", [])]
        return {item["Key"]: item["ETag"] for item in items}

    def ledger(self) -> list[Row]:
        """The rows of the ledger that were added since the last reset, with their days."""
        rows: list[Row] = []
        for key, body in self.objects(f"insights/{RUNS}/").items():
            older = found(self._older[key]) if key in self._older else []
            added = [row for row in found(body) if row not in older]
            rows += [{**row, "day": day_of(key).isoformat()} for row in added]
        return rows

    def overtaken(self) -> list[str]:
        """The keys that a run left to a newer one."""
        rows = [row for row in self.ledger() if row["status"] == "overtaken"]
        places = self.wanted(self.now.date()).items()
        return [
            key
            for key, place in places
            for row in rows
            if (row["table"], row["environment"], row["day"])
            == (place.table, place.environment, place.day.isoformat())
        ]

    def wanted(self, today: date) -> dict[str, Place]:
        """The partitions of a full export, by key."""
        chosen = (p for p in places(self.world, self.since, today) if p.table in TABLES)
        bound = (replace(place, key_name=self._key_of(place.environment)) for place in chosen)
        return {place.key: place for place in bound}

    def _key_of(self, environment: str | None) -> str | None:
        """What the environment of this name is called in keys."""
        own = self.world.organization(self.handle)
        return self.keys[own.environment(environment).id] if environment else None

    def wrong(self) -> list[str]:
        """What was ever stored, or lies there, and is not whole and right."""
        wrong = [
            f"{s.key} was written wrong" for s in self.proxy.stored if not self._fits(s.key, s.body)
        ]
        wrong += [
            f"{key} is wrong" for key, body in self.objects().items() if not self._fits(key, body)
        ]
        return wrong

    def unequal(self, today: date) -> list[str]:
        """How the dataset differs from one that was exported without faults."""
        there, wanted = self.objects(), self.wanted(today)
        differing = [f"{key} is missing" for key in wanted.keys() - there.keys()]
        differing += [
            f"{key} differs"
            for key, place in wanted.items()
            if key in there and not self._fits(key, there[key], self.nows[-1:])
        ]
        # A clock that was wrong may have known one more day; what it wrote must be right too.
        extra = there.keys() - wanted.keys()
        return differing + [f"{key} is wrong" for key in extra if not self._fits(key, there[key])]

    def leaks(self) -> list[str]:
        """Logs that hold what nobody must see."""
        secret = self.world.secret(self.handle)
        words = [secret["consumer_key"], secret["consumer_secret"], secret.get("on_prem_key") or ""]
        leaking = []
        for log in self._folder.glob("*.log"):
            text = log.read_text(errors="replace")
            if _JWT.search(text) or any(word in text for word in words if word):
                leaking.append(log.name)
        return leaking

    def crashes(self) -> list[str]:
        """Which containers ended although no test ended them, with the tails of their logs.

        All have ended then.
        """
        self._end_containers()
        found, self._crashes = self._crashes, []
        return found

    def logged(self, container: Container) -> str:
        """What a container has logged, metrics among it."""
        return (self._folder / f"{container.name}.log").read_text(errors="replace")

    def _wrong_is_none(self) -> None:
        wrong = self.wrong()
        assert wrong == [], wrong
        assert self._older

    def _expected(self, place: Place, now: datetime) -> list[Row]:
        known = place, now, self.world.changes
        if known not in self._known:
            self._known[known] = expected(self.world, place, now)
        return self._known[known]

    def _fits(self, key: str, body: bytes, nows: Sequence[datetime] = ()) -> bool:
        """Whether an object holds what the sandbox knew at one of the instants (of this fault)."""
        nows = nows or self.nows
        if key.startswith(f"insights/{REGISTRY_ENVIRONMENTS}/"):
            return self._binds(body)
        known = (key, body, tuple(nows))
        if known not in self._right:
            place = self._place(key)
            rows = found(body) if place else []
            self._right[known] = place is None or any(
                rows == self._expected(place, now) for now in nows
            )
        return self._right[known]

    def _binds(self, body: bytes) -> bool:
        """Whether a registry binds each environment to the key that it always had."""
        own = self.world.organization(self.handle).environments
        bound = [
            (row["environment_id"], row["key"]) for row in pq.read_table(BytesIO(body)).to_pylist()
        ]
        return sorted(bound) == sorted((e.id, self.keys[e.id]) for e in own)

    def _place(self, key: str) -> Place | None:
        """The partition of a key; None for what is no table of the API."""
        parts = re.fullmatch(r"insights/(\w+)/day=([\d-]{10})/([^/]+)\.parquet", key)
        if not parts or parts[1] not in TABLES:
            return None
        day = date.fromisoformat(parts[2])
        table = load().table(parts[1])
        own = self.world.organization(self.handle)
        names: Sequence[str | None] = [None]
        if table.scope == "environment":
            names = [environment.name for environment in own.environments]
        for name in names:
            place = Place(parts[1], self.handle, name, day, self._key_of(name))
            if place.key == key:
                return place
        raise AssertionError(f"{key} is no partition")


def _organization(handle: str) -> OrganizationSpec:
    environments = (EnvironmentSpec("Development"), EnvironmentSpec('Test "Süd"', "CHOREO_PRIVATE"))
    return OrganizationSpec(handle, apis=6, applications=2, environments=environments)


class _Role:
    """A function's role, which the local account may take for a process of the tests' own.

    What it is allowed in the dataset bucket it is also allowed in `bucket`.
    """

    def __init__(self, stack: Stack, name: str, bucket: str) -> None:
        found = stack.cloudformation.describe_stack_resource(
            StackName=stack.name, LogicalResourceId=name
        )
        self._role = found["StackResourceDetail"]["PhysicalResourceId"]
        session = stack._session
        endpoint = stack.s3.meta.endpoint_url
        self._iam = session.create_client("iam", endpoint_url=endpoint)
        self._sts = session.create_client("sts", endpoint_url=endpoint)
        self._arn = self._iam.get_role(RoleName=self._role)["Role"]["Arn"]
        self._allow_account()
        self._allow(stack.outputs["DatasetBucketName"], bucket)

    def _allow_account(self) -> None:
        root = f"arn:aws:iam::{self._arn.split(':')[4]}:root"
        principal = {"Service": "lambda.amazonaws.com", "AWS": root}
        statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
        trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self._iam.update_assume_role_policy(RoleName=self._role, PolicyDocument=trust)

    def _allow(self, deployed: str, bucket: str) -> None:
        for name in _POLICIES:
            with suppress(self._iam.exceptions.NoSuchEntityException):
                found = self._iam.get_role_policy(RoleName=self._role, PolicyName=name)
                text = json.dumps(found["PolicyDocument"]).replace(deployed, bucket)
                self._iam.put_role_policy(
                    RoleName=self._role, PolicyName=f"{name}-{bucket}", PolicyDocument=text
                )

    def credentials(self, session: str) -> dict[str, str]:
        """Credentials of a container's own."""
        given = self._sts.assume_role(RoleArn=self._arn, RoleSessionName=session)["Credentials"]
        return {
            "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
            "AWS_SESSION_TOKEN": given["SessionToken"],
        }
