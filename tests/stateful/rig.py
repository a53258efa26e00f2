"""The export function as Lambda runs it, over fakes in the same process and simulated time."""

import importlib
import importlib.util
import inspect
import json
import logging
import pkgutil
import sys
import threading
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import requests

import choreo_insights
from choreo_insights.catalogue import load
from choreo_insights.export.scheduler import Scheduler
from choreo_insights.tokens.reader import Token, instant
from dev.sandbox import SandboxSettings, World
from dev.sandbox.service import TOKEN_PATH, Service
from tests.fakes.asl import FailedError
from tests.fakes.aws import FakeAws
from tests.fakes.s3 import BUCKET, refusal
from tests.fakes.server import Answer, Received
from tests.stateful import cloud
from tests.stateful.simulation import Killed, Simulation, Task
from tests.stateful.step_functions import StepFunctions

ROOT = Path(__file__).parents[2]
APP = ROOT / "functions/export/app.py"
PREFIX = "/synthetic/token"
INVOCATION_SECONDS = 900.0
# What a call takes, in seconds: the least, and how much more at most.
_TAKES = {"s3": (0.02, 0.06), "choreo": (0.15, 0.6), "lambda": (0.3, 0.5)}
_USUALLY = (0.01, 0.03)


@dataclass
class Kill:
    """When a run is killed: at the n-th of its calls of this kind (empty: of any kind).

    `after`: the call has had its effect, and its answer is lost.
    """

    number: int
    kind: str = ""
    after: bool = False


@dataclass
class Run:
    """An invocation of the export function."""

    event: dict[str, Any]
    started: float
    ends: float
    kill: Kill | None
    id: str
    reply: dict[str, Any] | None = None
    error: Exception | None = None
    killed: str = ""
    finished: float = 0.0
    calls: Counter[str] = field(default_factory=Counter)
    container: Any = None

    @property
    def force(self) -> bool:
        """Whether it may make stored data less."""
        return bool(self.event.get("force"))


@dataclass(frozen=True)
class Sent:
    """A request to the Insights API: when it came, and the status of its answer."""

    time: float
    status: int
    run: Run | None


class Inline(Executor):
    """Threads that are none: work is done when it is handed in. Being killed goes through."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """Takes what a pool of threads does."""

    def submit(self, do: Callable[..., Any], /, *args: Any, **values: Any) -> Future[Any]:
        """Does it."""
        future: Future[Any] = Future()
        try:
            future.set_result(do(*args, **values))
        except Exception as error:
            future.set_exception(error)
        return future


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("stateful_export_app", APP)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


app = _module()
CATALOGUE = load()
_MODULES = [
    importlib.import_module(each.name)
    for each in pkgutil.walk_packages(choreo_insights.__path__, "choreo_insights.")
]


class Plug:
    """The stack that everything is patched for."""

    stack: "Stack | None" = None

    @property
    def plugged(self) -> "Stack":
        """The stack."""
        assert self.stack is not None
        return self.stack

    def clock(self) -> float:
        """Its time."""
        return self.plugged.simulation.time

    def now(self) -> datetime:
        """Its time, as an instant."""
        return self.plugged.simulation.now()

    def sleep(self, seconds: float) -> None:
        """Sleeps in it."""
        self.plugged.sleep(seconds)

    def start(self, do: Callable[[], None]) -> Callable[[], None]:
        """A thread of its invocation."""
        return self.plugged.start_beside(do)

    def pause(self, ended: threading.Event, seconds: float) -> bool:
        """Waits for an event."""
        if not ended.is_set():
            self.plugged.sleep(seconds)
        return ended.is_set()

    def container(self) -> Any:
        """Its container."""
        return self.plugged.container()

    def random(self) -> float:
        """Its random numbers."""
        return self.plugged.simulation.random.random()


PLUG = Plug()


def _injected(made: type, values: Mapping[str, Any]) -> Callable[..., Any]:
    """Makes an object with these values for what the caller leaves out."""
    signature = inspect.signature(made)

    def make(*args: Any, **named: Any) -> Any:
        given = signature.bind_partial(*args, **named).arguments
        more = {name: values[name] for name in values.keys() & signature.parameters.keys()}
        return made(*args, **{**{n: v for n, v in more.items() if n not in given}, **named})

    return make


@contextmanager
def installed() -> Iterator[None]:
    """Puts simulated time, threads that are none and clients without a wire into the function."""
    values = {"clock": PLUG.clock, "wall": PLUG.clock, "now": PLUG.now, "sleep": PLUG.sleep,
              "random": PLUG.random, "start": PLUG.start, "pause": PLUG.pause}  # fmt: skip
    logging.disable(logging.CRITICAL)
    with ExitStack() as stack:

        def put(place: object, name: str, value: object) -> None:
            stack.enter_context(patch.object(place, name, value))

        for name, found in list(vars(app).items()):
            ours = inspect.isclass(found) and found.__module__.startswith("choreo_insights.")
            if ours and values.keys() & inspect.signature(found).parameters.keys():
                put(app, name, _injected(found, values))
        put(app, "boto3", SimpleNamespace(client=lambda service, **_: cloud.client(service)))
        put(app, "time", SimpleNamespace(monotonic=PLUG.clock, time=PLUG.clock, sleep=PLUG.sleep))
        put(app, "utc_now", PLUG.now)
        put(app, "load", lambda: CATALOGUE)
        put(app, "_clients", PLUG.container)
        for module in _MODULES:
            if hasattr(module, "ThreadPoolExecutor"):
                put(module, "ThreadPoolExecutor", Inline)
        defaults = Scheduler.__init__.__kwdefaults__
        stack.enter_context(patch.dict(defaults, random=PLUG.random))
        session = importlib.import_module("choreo_insights.http")._session

        def without_wire() -> requests.Session:
            made = session()
            made.mount("http://", cloud.Adapter())
            return made

        put(importlib.import_module("choreo_insights.http"), "_session", without_wire)
        try:
            yield
        finally:
            PLUG.stack = cloud.LINE.wire = None
            logging.disable(logging.NOTSET)


class Stack:
    """A deployed stack, its AWS and the Choreo that it exports from."""

    def __init__(
        self,
        world: World,
        settings: SandboxSettings,
        begin: datetime,
        environment: Mapping[str, str],
    ) -> None:
        self.simulation = Simulation(begin, world.seed)
        self.choreo_service = Service(world, settings, self.simulation.clock)
        self.s3 = cloud.VersionedS3(self.simulation.now, lambda: self.run)
        self.parameters = FakeAws()
        self.states = StepFunctions(self._call_part, self.simulation)
        self.environment = dict(environment)
        self.sent: list[Sent] = []
        self.runs: list[Run] = []
        self.kill_points: Counter[str] = Counter()
        # The warm containers that do nothing.
        self._idle: list[Any] = []
        self._running: dict[Task | None, Run] = {}
        self.parameters.functions["token-function"] = self._token
        for handle in world.organizations:
            self.parameters.put_secret(f"choreo-insights/{handle}", world.secret(handle))

    @property
    def world(self) -> World:
        """Who is there."""
        return self.choreo_service.world

    @property
    def run(self) -> Run | None:
        """The invocation that has the turn."""
        return self._running.get(self.simulation.current)

    # What happens at each call over the network

    def aws(self, service: str, operation: str, received: Received) -> Answer:
        """Answers the SDK."""
        kind = f"{service} {operation}"
        with self._call(service, kind):
            if service == "s3":
                return self._bucket(received)
            if service == "lambda":
                # The export function never invokes itself.
                assert cloud.function_name(received) == "token-function", received.path
            if service == "stepfunctions":
                return self.states.respond(operation, received)
            found = self.parameters.respond(received)
            assert isinstance(found, Answer)
            return found

    def _bucket(self, received: Received) -> Answer:
        if BUCKET not in received.path:
            return refusal(404, "NoSuchBucket")
        answer = self.s3.respond(received)
        assert isinstance(answer, Answer)
        return answer

    def choreo(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answers the export function's requests to the Insights API."""
        with self._call("choreo", "choreo query"):
            self.choreo_service.settings.now = self.simulation.now()
            answer = cloud.insights_answer(self.choreo_service, path, headers, body)
            self.sent.append(Sent(self.simulation.time, answer.status, self.run))
            return answer

    @contextmanager
    def _call(self, service: str, kind: str) -> Iterator[None]:
        run = self.run
        assert run, f"{kind} outside of an invocation"
        if run.killed:
            raise Killed
        run.calls[kind] += 1
        point = run.kill if run.kill and run.kill.kind in ("", kind) else None
        number = run.calls[kind] if point and point.kind else run.calls.total()
        due = point is not None and number == point.number
        if due and point and not point.after:
            self._die(run, f"before {kind}")
        least, more = _TAKES.get(service, _USUALLY)
        takes = least + more * self.simulation.random.random()
        self.simulation.sleep(takes * 0.6)
        self._check_time(run)
        yield
        self.simulation.sleep(takes * 0.4)
        if due:
            self._die(run, f"after {kind}")
        self._check_time(run)

    def _check_time(self, run: Run) -> None:
        if self.simulation.time >= run.ends:
            self._die(run, "timeout")

    def _die(self, run: Run, where: str) -> None:
        run.killed = where
        self.kill_points[where] += 1
        raise Killed

    def sleep(self, seconds: float) -> None:
        """`time.sleep` of an invocation: Lambda's timeout ends it too."""
        run = self.run
        assert run
        if run.killed:
            raise Killed
        self.simulation.sleep(min(seconds, max(run.ends - self.simulation.time, 0.0)))
        self._check_time(run)

    def _token(self, event: dict[str, Any]) -> dict[str, Any]:
        """The token function, cut down to minting and storing."""
        handle = event["organization"]
        name = f"{PREFIX}/{handle}"
        value = self.parameters.value(name)
        token = Token.from_json(value) if value else None
        now = self.simulation.time
        if not token or not token.is_fresh(now) or event.get("rejected") == token.fingerprint:
            token = self._mint(handle, now)
            text = {"Name": name, "Value": token.to_json(), "Type": "SecureString"}
            self.parameters._PutParameter({**text, "Overwrite": True})
        outcome = {"status": "minted", "fingerprint": token.fingerprint}
        return {"organizations": {handle: {**outcome, "expires_at": instant(token.expires_at)}}}

    def _mint(self, handle: str, now: float) -> Token:
        secret = self.world.secret(handle)
        pair = f"{secret['consumer_key']}:{secret['consumer_secret']}".encode()
        reply = self.choreo_service.answer(
            TOKEN_PATH,
            {
                "Authorization": f"Basic {b64encode(pair).decode()}",
                "Content-Type": "application/x-www-form-urlencoded",
            },
            f"grant_type=client_credentials&orgHandle={handle}&scope=apim:api_manage".encode(),
        )
        minted = json.loads(reply.body)
        return Token(minted["access_token"], now + minted["expires_in"], now)

    # Invocations

    def start_beside(self, do: Callable[[], None]) -> Callable[[], None]:
        """Starts a thread of the invocation that has the turn; gives what waits for its end."""
        run = self.run
        assert run

        def work() -> None:
            self._running[self.simulation.current] = run
            try:
                do()
            finally:
                del self._running[self.simulation.current]

        task = self.simulation.start(work)

        def join() -> None:
            self.simulation.wake(task)
            while not task.done:
                self.sleep(0.01)

        return join

    def _call_part(self, event: dict[str, Any]) -> dict[str, Any]:
        """Invokes the function for the state machine."""
        run = self._invoke(event, INVOCATION_SECONDS, None)
        if run.reply is not None:
            return run.reply
        raise FailedError(type(run.error).__name__ if run.error else "Lambda.Unknown")

    def container(self) -> Any:
        """The container of the invocation that has the turn."""
        run = self.run
        assert run
        if run.container is None:
            run.container = self._idle.pop() if self._idle else app.Clients()
        return run.container

    def start(
        self,
        event: dict[str, Any],
        *,
        after: float = 0.0,
        seconds: float = INVOCATION_SECONDS,
        kill: Kill | None = None,
        attempts: int = 1,
    ) -> list[Run]:
        """Invokes the function, so many seconds from now; again as Lambda does where it fails.

        Gives the list that its invocations are added to.
        """
        runs: list[Run] = []

        def attempt() -> None:
            for number in range(attempts):
                if number:
                    self.simulation.sleep(60.0 * number)
                run = self._invoke(event, seconds, None if number else kill)
                runs.append(run)
                if run.reply is not None:
                    return

        self.simulation.start(attempt, after)
        return runs

    def invoke(self, event: dict[str, Any], **values: Any) -> Run:
        """Invokes it, and waits until everything that this began is over."""
        runs = self.start(event, **values)
        self.simulation.run()
        return runs[-1]

    def cold(self) -> None:
        """Ends the containers that are warm."""
        self._idle.clear()

    def _invoke(self, event: dict[str, Any], seconds: float, kill: Kill | None) -> Run:
        task, begin = self.simulation.current, self.simulation.time
        assert task
        run = Run(
            event, begin, begin + seconds, kill, f"{self.simulation.random.getrandbits(32):08x}"
        )
        self.runs.append(run)
        self._running[task] = run
        try:
            run.reply = app.handler(event, self._context(run))
        except Killed:
            pass
        except Exception as error:
            run.error = error
        if run.killed:
            run.reply = run.container = None
        if run.container is not None:
            self._idle.append(run.container)
        run.finished = self.simulation.time
        del self._running[task]
        return run

    def _context(self, run: Run) -> Any:
        return SimpleNamespace(
            function_name="synthetic-export",
            memory_limit_in_mb=512,
            invoked_function_arn="arn:aws:lambda:eu-central-1:111122223333:function:synthetic-export",
            aws_request_id=run.id,
            get_remaining_time_in_millis=lambda: int((run.ends - self.simulation.time) * 1000),
        )


@contextmanager
def plugged(stack: Stack) -> Iterator[Stack]:
    """Runs on this stack until the block ends."""
    PLUG.stack = cloud.LINE.wire = stack
    with patch.dict("os.environ", stack.environment):
        try:
            yield stack
        finally:
            PLUG.stack = cloud.LINE.wire = None
