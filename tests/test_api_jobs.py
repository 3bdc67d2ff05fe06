"""Bulk jobs over HTTP: what comes in, what comes out, and what a kill leaves."""

from __future__ import annotations

import csv
import http.client
import io
import json
import os
import re
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

import tiny
from command import process
from tagdesk.api import ApiSettings, create_app
from tagdesk.api.access import Permission, hash_of, new_secret
from tagdesk.api.jobs import router
from tagdesk.bulk import classify
from tagdesk.dataset import Columns, File
from tagdesk.desk import Desk, Settings
from tagdesk.desk.job_folder import LEFT_AFTER
from tagdesk.desk.job_runner import MOST_ATTEMPTS
from tagdesk.desk.jobs import JobSettings
from tagdesk.model import Model
from tagdesk.store import Job, Key, State, Store

CANARY = "zanzibar-7291"  # stands in files, and must never come back in an error
CSV, NDJSON, PARQUET = "text/csv", "application/x-ndjson", "application/vnd.apache.parquet"
PATIENCE = 180.0  # seconds; the machine may be busy
GOOD = b"id,text\n1,card charged twice\n2,parcel lost\n"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, saved: Path, models: dict[str, Model]) -> Iterator[TestClient]:
    with service(tmp_path_factory.mktemp("jobs"), saved, JobSettings(most_bytes=4_000_000)) as opened:
        desk: Desk = opened.app.state.desk  # type: ignore[attr-defined]
        desk.promote(models["onnx"].id, who="ada", why="it is quick")
        yield opened


@contextmanager
def service(folder: Path, models: Path, settings: JobSettings) -> Iterator[TestClient]:
    with Store.open(folder / "tagdesk.db") as store:
        desk = Desk(store, Settings(models=models))
        with TestClient(create_app(desk, ApiSettings(jobs=settings)), raise_server_exceptions=False) as opened:
            yield opened
        desk.close()


def files(client: TestClient) -> Path:
    """The folder of the jobs' files: beside the store's, for none was named."""
    store = the_store(client)
    assert store.file is not None
    return store.file.with_name("tagdesk.db.jobs")


def the_store(client: TestClient) -> Store:
    store: Store = client.app.state.desk.store  # type: ignore[attr-defined]
    return store


def send(client: TestClient, body: Any, kind: str = CSV, query: str = "", **headers: str) -> Any:
    return client.post(f"/v1/jobs{query}", content=body, headers={"content-type": kind} | headers)


def ended(client: TestClient, id_: str, **headers: str) -> dict[str, Any]:
    """The job once it has ended."""
    deadline = time.monotonic() + PATIENCE
    while True:
        job: dict[str, Any] = client.get(f"/v1/jobs/{id_}", headers=headers).json()
        if State(job["state"]).is_final:
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.05)


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def table(rows: int, seed: int = 3) -> bytes:
    """A CSV of tickets, some of them empty."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["id", "text", "note"])
    writer.writerows([t.id, "" if n % 97 == 5 else t.text, n] for n, t in enumerate(tiny.tickets(rows, seed=seed)))
    return out.getvalue().encode()


def labelled(body: bytes, name: str, model: Model, folder: Path, **how: Any) -> tuple[bytes, bytes]:
    """What `tagdesk classify` makes of a file, and its rejects."""
    source = folder / f"alone.{name.partition('.')[2]}"
    source.write_bytes(body)
    classify(model, File(source, Columns(labels="", unit="", time="")), folder / name, force=True, **how)
    rejects = folder / f"{name}.rejects.jsonl"
    return (folder / name).read_bytes(), rejects.read_bytes() if rejects.exists() else b""


def test_a_file_comes_back_as_the_command_line_labels_it(
    client: TestClient, models: dict[str, Model], tmp_path: Path
) -> None:
    body = table(6000)
    answer = send(client, body)
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    id_ = answer.json()["id"]
    assert answer.headers["location"] == f"/v1/jobs/{id_}"
    job = ended(client, id_)
    assert (job["state"], job["error"], job["model"], job["bytes"]) == ("done", None, models["onnx"].id, len(body))
    counts = job["counts"]
    assert counts["read"] == counts["accepted"] + counts["rejected"] + counts["skipped"] == job["rows"] == 6000
    result, rejects = labelled(body, "out.csv", models["onnx"], tmp_path)
    fetched = client.get(f"/v1/jobs/{id_}/result")
    assert fetched.content == result
    assert fetched.headers["content-disposition"] == f'attachment; filename="{id_}.csv"'
    assert fetched.headers["cache-control"] == "no-store"
    assert {row["model"] for row in csv.DictReader(io.StringIO(fetched.text))} == {models["onnx"].id}
    assert client.get(f"/v1/jobs/{id_}/rejects").content == rejects
    assert client.get(f"/v1/jobs/{id_}/result", headers={"range": "bytes=10-19"}).content == result[10:20]
    assert id_ in [job["id"] for job in client.get("/v1/jobs?limit=1000").json()["jobs"]]
    until(lambda: not list((files(client) / id_).glob("input.*")))  # what came is deleted once it is done


def test_formats_columns_and_encodings_are_what_the_query_says(client: TestClient) -> None:
    lines = "".join(json.dumps({"Message": t.text, "n": n}) + "\n" for n, t in enumerate(tiny.tickets(50)))
    first = send(client, lines, NDJSON, "?text=Message&output=parquet&write=labels").json()
    semicolons = "Text;n\r\ncarte bloquée;1\r\n".encode("cp1252")
    second = send(client, semicolons, CSV, "?encoding=cp1252&delimiter=%3B&output=jsonl").json()
    third = send(client, parquet(text=["card charged", None], n=[1, 2]), PARQUET).json()
    assert [ended(client, job["id"])["error"] for job in (first, second, third)] == [None, None, None]
    fetched = client.get(f"/v1/jobs/{first['id']}/result")
    assert fetched.headers["content-type"] == PARQUET
    columns = ["Message", "n", "predicted_labels", "decision", "flags", "model"]
    assert pq.read_table(io.BytesIO(fetched.content)).column_names == columns
    (row,) = client.get(f"/v1/jobs/{second['id']}/result").text.splitlines()
    assert json.loads(row)["Text"] == "carte bloquée"
    assert json.loads(row).keys() >= {f"score: {name}" for name in tiny.LABELS}
    assert client.get(f"/v1/jobs/{second['id']}/rejects").content == b""
    (rejected,) = client.get(f"/v1/jobs/{third['id']}/rejects").text.splitlines()
    assert json.loads(rejected)["code"] == "not_text"
    assert pq.read_table(io.BytesIO(client.get(f"/v1/jobs/{third['id']}/result").content))["n"].to_pylist() == [1]


def parquet(**columns: list[Any]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


HOSTILE: dict[str, tuple[bytes, str, str, str]] = {
    "F1 empty": (b"", CSV, "", "empty"),
    "empty lines": (b"", NDJSON, "", "empty"),
    "no text column": (f"id,{CANARY}\n1,{CANARY}\n".encode(), CSV, "", "missing_column"),
    "no such column": (f"text,{CANARY}\n1,{CANARY}\n".encode(), CSV, "?text=body", "missing_column"),
    "not UTF-8": (f"id,text\n1,{CANARY} \xe9\n".encode("latin-1"), CSV, "", "bad_encoding"),
    "not UTF-8, late": (b"text\n" + b"card charged\n" * 9000 + b"\xff\n", CSV, "", "bad_encoding"),
    "unknown encoding": (GOOD, CSV, f"?encoding={CANARY}", "unknown_encoding"),
    "a workbook": (b"PK\x03\x04" + b"xl/" * 40, CSV, "", "not_csv"),
    "a web page": (f"<html>{CANARY}</html>".encode(), CSV, "", "not_csv"),
    "a pickle": (b"\x80\x04\x95" + CANARY.encode(), CSV, "", "not_csv"),
    "CSV as Parquet": (GOOD, PARQUET, "", "not_parquet"),
    "a cut Parquet file": (parquet(text=["card charged"] * 50)[:-40], PARQUET, "", "not_parquet"),
    "two columns of a name": (f"text,{CANARY},{CANARY}\na,b,c\n".encode(), CSV, "", "duplicate_column"),
    "a name that the result needs": (b"text,decision\ncard,x\n", CSV, "", "duplicate_column"),
}


def test_files_that_make_no_sense_fail_with_a_reason_that_quotes_nothing(client: TestClient) -> None:
    sent = {name: send(client, body, kind, query) for name, (body, kind, query, _) in HOSTILE.items()}
    assert {answer.status_code for answer in sent.values()} == {202}
    for name, answer in sent.items():
        id_ = answer.json()["id"]
        job = ended(client, id_)
        assert (job["state"], job["error"]["code"]) == ("failed", HOSTILE[name][3]), name
        assert len(job["error"]["detail"]) > 20
        refused = client.get(f"/v1/jobs/{id_}/result")
        assert (refused.status_code, refused.json()["code"]) == (409, HOSTILE[name][3])
        for page in (json.dumps(job), refused.text, client.get(f"/v1/jobs/{id_}/rejects").text):
            assert CANARY not in page
            assert str(files(client)) not in page
        until(lambda id_=id_: not (files(client) / id_).exists())  # type: ignore[misc] # bound at once


def test_every_route_asks_for_the_permission_to_predict() -> None:
    routes = [route for route in router.routes if isinstance(route, APIRoute)]
    assert len(routes) == 6
    for route in routes:
        asked = [one.call.permission for one in route.dependant.dependencies if hasattr(one.call, "permission")]
        assert asked == [Permission.PREDICT]


@pytest.mark.parametrize("query", ["?name=../../etc/passwd", "?text=", "?text=%00", "?write=texts", "?output=xlsx"])
def test_queries_that_make_no_sense_are_refused(client: TestClient, query: str) -> None:
    answer = send(client, GOOD, CSV, query)
    assert answer.status_code == 422
    assert "passwd" not in answer.text


@pytest.mark.parametrize("kind", ["application/json", "", "multipart/form-data; boundary=x", "application/zip"])
def test_files_of_another_kind_are_refused(client: TestClient, kind: str) -> None:
    assert send(client, GOOD, kind).status_code == 415
    assert send(client, b"", kind).status_code == 415
    assert send(client, GOOD, CSV, **{"content-encoding": "gzip"}).status_code == 415


def test_a_file_is_called_as_we_call_it(client: TestClient) -> None:  # F29
    header = {"content-disposition": 'attachment; filename="../../zanzibar.csv"'}
    id_ = send(client, GOOD, "Text/CSV; charset=utf-8", **header).json()["id"]
    assert ended(client, id_)["state"] == "done"
    names = {path.name for path in (files(client) / id_).iterdir()}
    assert names <= {"input.csv", "result.csv", "summary.json", "lock"}
    assert not list(files(client).parent.rglob("*zanzibar*"))


@pytest.mark.parametrize("has_length", [True, False])
def test_a_file_that_is_too_large_is_refused_and_nothing_of_it_stays(client: TestClient, *, has_length: bool) -> None:
    before = sorted(files(client).iterdir()) if files(client).exists() else []
    body = b"text\n" + b"card charged twice\n" * 250_000
    answer = send(client, body if has_length else (body[n : n + 100_000] for n in range(0, len(body), 100_000)))
    assert (answer.status_code, answer.json()["code"], answer.json()["limit"]) == (413, "too_large", 4_000_000)
    assert {path.name for path in files(client).glob("*.upload")} == set()
    assert [path for path in before if path.exists()] == before


@pytest.mark.parametrize("path", ["x", "019de0d5-c800-7000-8000-000000000000", "..%2f..%2fetc", "%00", "a" * 5000])
def test_there_is_no_job_of_an_odd_name(client: TestClient, path: str) -> None:
    for way in ("", "/result", "/rejects"):
        assert client.get(f"/v1/jobs/{path}{way}").status_code in {404, 422}
    assert client.post(f"/v1/jobs/{path}/cancel").status_code in {404, 422}


def test_a_full_disk_takes_no_file_and_keeps_nothing(saved: Path, tmp_path: Path) -> None:
    with service(tmp_path, saved, JobSettings(reserve=10**18)) as client:
        answer = send(client, GOOD)
        assert (answer.status_code, answer.json()["code"]) == (507, "disk_full")
        assert str(tmp_path) not in answer.text
        assert list(files(client).iterdir()) == []
        assert client.get("/v1/jobs").json() == {"jobs": []}
        assert client.get("/livez").status_code == 200


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let the disk be full for every file that gets larger."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def test_a_disk_that_gets_full_midway_leaves_no_half_file_and_no_half_result(client: TestClient) -> None:
    body = table(12_000)
    with files_of_at_most(300_000):  # less than what comes
        answer = send(client, body)
    assert (answer.status_code, answer.json()["code"]) == (507, "disk_full")
    assert list(files(client).glob("*.upload")) == []
    with files_of_at_most(len(body) + 10_000):  # less than what is made of it, and than the store's file may grow
        id_ = send(client, body).json()["id"]
        job = ended(client, id_)
    assert (job["state"], job["error"]["code"]) == ("failed", "disk_full")
    fetched = client.get(f"/v1/jobs/{id_}/result")
    assert (fetched.status_code, fetched.json()["code"]) == (507, "disk_full")
    until(lambda: not (files(client) / id_).exists())


def test_a_folder_that_cannot_be_written_is_a_503(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with service(tmp_path, saved, JobSettings(tmp_path / "file" / "jobs")) as client:
        answer = send(client, GOOD)
        assert (answer.status_code, answer.json()["code"]) == (503, "jobs_unwritable")


def test_a_job_is_cancelled_while_it_waits_and_while_it_runs(client: TestClient) -> None:
    running, waiting = (send(client, table(60_000)).json()["id"] for _ in range(2))
    cancelled = client.post(f"/v1/jobs/{waiting}/cancel").json()
    assert cancelled["state"] == "cancelled"
    assert not (files(client) / waiting).exists()
    until(lambda: (client.get(f"/v1/jobs/{running}").json()["rows"] or 0) > 0)
    shown = client.get(f"/v1/jobs/{running}").json()
    assert 0 < shown["rows"] <= shown["of"] <= 70_000  # an estimate
    assert client.get(f"/v1/jobs/{running}/result").json()["code"] == "not_done"
    assert client.post(f"/v1/jobs/{running}/cancel").json()["state"] == "cancelled"
    until(lambda: not (files(client) / running).exists())
    for id_ in (running, waiting):
        assert client.get(f"/v1/jobs/{id_}").json()["state"] == "cancelled"
        assert client.get(f"/v1/jobs/{id_}/result").status_code == 410
        assert client.post(f"/v1/jobs/{id_}/cancel").json()["state"] == "cancelled"
    assert ended(client, send(client, GOOD).json()["id"])["state"] == "done"


def test_the_files_of_a_job_that_is_done_can_be_deleted(client: TestClient) -> None:
    id_ = send(client, GOOD).json()["id"]
    assert ended(client, id_)["has_result"]
    assert not client.post(f"/v1/jobs/{id_}/cancel").json()["has_result"]
    assert not (files(client) / id_).exists()
    assert client.get(f"/v1/jobs/{id_}").json()["state"] == "done"
    assert client.get(f"/v1/jobs/{id_}/result").json()["code"] == "gone"


def test_a_job_of_one_tenant_is_invisible_to_another(saved: Path, tmp_path: Path) -> None:
    with Store.open(tmp_path / "tagdesk.db") as store:
        secrets = {}
        for name, scope in {"mine": "predict", "rival": "predict", "judge": "review"}.items():
            secrets[name] = new_secret()
            store.keys.add(Key(name, name, frozenset({scope}), hash_of(secrets[name]), "ada", datetime.now(UTC)))
    with service(tmp_path, saved, JobSettings()) as client:
        mine, theirs, judge = ({"authorization": f"Bearer {secrets[name]}"} for name in ("mine", "rival", "judge"))
        job = send(client, GOOD, **mine).json()
        assert ended(client, job["id"], **mine)["who"] == "mine"
        for way in ("", "/result", "/rejects"):
            assert client.get(f"/v1/jobs/{job['id']}{way}", headers=mine).status_code == 200
            assert client.get(f"/v1/jobs/{job['id']}{way}", headers=theirs).status_code == 404
            assert client.get(f"/v1/jobs/{job['id']}{way}", headers=judge).status_code == 403
            assert client.get(f"/v1/jobs/{job['id']}{way}").status_code == 401
        assert client.post(f"/v1/jobs/{job['id']}/cancel", headers=theirs).status_code == 404
        assert client.get("/v1/jobs", headers=theirs).json() == {"jobs": []}
        assert len(client.get("/v1/jobs", headers=mine).json()["jobs"]) == 1
        assert send(client, GOOD, **judge).status_code == 403


def test_results_are_deleted_after_their_days(saved: Path, tmp_path: Path) -> None:
    with service(tmp_path, saved, JobSettings(keep_days=0)) as client:
        id_ = send(client, GOOD).json()["id"]
        until(lambda: client.get(f"/v1/jobs/{id_}/result").status_code == 410)
        assert client.get(f"/v1/jobs/{id_}").json()["state"] == "done"
        until(lambda: list(files(client).iterdir()) == [])


def test_a_file_whose_receiver_was_killed_is_done_or_deleted(saved: Path, tmp_path: Path) -> None:
    known, unknown, fresh, other = (f"019de0d5-c800-7000-8000-00000000000{n}" for n in range(4))
    folder = tmp_path / "tagdesk.db.jobs"
    for name in (f"{known}.upload", f"{unknown}.upload", f"{fresh}.upload", other):
        (folder / name).mkdir(parents=True)
        (folder / name / "input.csv").write_bytes(GOOD)
    long_ago = time.time() - 2 * LEFT_AFTER
    for path in (folder / f"{unknown}.upload", folder / f"{unknown}.upload" / "input.csv"):
        os.utime(path, (long_ago, long_ago))
    model = Model.load("starter")
    details = {"source": "csv", "output": "csv", "model": model.id, "policy": model.policy.id, "bytes": len(GOOD)}
    details |= {"text": None, "encoding": None, "delimiter": None, "scores": True}
    now = datetime.now(UTC)
    with Store.open(tmp_path / "tagdesk.db") as store:
        store.jobs.add(Job(known, "default", "ada", now, now, details=details))
    with service(tmp_path, saved, JobSettings()) as client:
        assert ended(client, known)["state"] == "done"
        until(lambda: not (folder / f"{unknown}.upload").exists())
        assert (folder / f"{fresh}.upload").exists()  # it may still be coming
        assert (folder / other).exists()  # of another store


def test_a_job_that_kills_whoever_works_on_it_is_given_up(client: TestClient) -> None:
    id_ = send(client, table(60_000)).json()["id"]
    store, seen = the_store(client), set[int]()
    while (job := store.jobs.get(id_, tenant=None)) is not None and not job.state.is_final:
        for pid in _labellers(id_) - seen:
            seen.add(pid)
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
    assert job is not None
    assert job.error.startswith("worker_died: ")
    assert len(seen) == MOST_ATTEMPTS


def _labellers(id_: str) -> set[int]:
    """The processes that work on a job."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it has ended
                line = (entry / "cmdline").read_bytes()
                if b"tagdesk.bulk.apart" in line and id_.encode() in line:
                    found.add(int(entry.name))
    return found


class Served:
    """A real `tagdesk serve`."""

    def __init__(self, store: Path, models: Path) -> None:
        self.process: subprocess.Popen[bytes] = process(
            "serve", "--store", store, "--models", models, "--port", "0", "--job-days", "1"
        )
        self.port = 0
        self.started = threading.Event()
        self._listener = threading.Thread(target=self._listen)  # else its log would fill the pipe
        self._listener.start()
        assert self.started.wait(PATIENCE)
        assert self.port

    def _listen(self) -> None:
        for line in self.process.stderr or ():
            if found := re.search(rb"running on http://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
                self.started.set()
        self.started.set()

    def ask(self, method: str, path: str, body: bytes | None = None, kind: str = CSV) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request(method, path, body, {"Content-Type": kind} if body is not None else {})
        answer = connection.getresponse()
        found = answer.status, answer.read()
        connection.close()
        return found

    def job(self, id_: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ask("GET", f"/v1/jobs/{id_}")[1])
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.stop()

    def stop(self) -> int:
        self.process.terminate()
        code = self.process.wait(PATIENCE)
        self._listener.join()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        return code


def finished_parts(folder: Path) -> int:
    return len(list(folder.glob("*/.tagdesk-*.work/*.done")))


def test_a_job_goes_on_where_it_stood_when_its_service_was_killed(
    saved: Path, models: dict[str, Model], tmp_path: Path
) -> None:
    store, folder, body = tmp_path / "tagdesk.db", tmp_path / "tagdesk.db.jobs", table(30_000)
    with Store.open(store) as opened:
        desk = Desk(opened, Settings(models=saved))
        desk.promote(models["onnx"].id, who="ada", why="it is quick")
        desk.close()
    with Served(store, saved) as service:
        status, answer = service.ask("POST", "/v1/jobs", body)
        assert status == 202
        id_ = json.loads(answer)["id"]
        until(lambda: finished_parts(folder) >= 2)
    until(lambda: not _labellers(id_))  # none outlives its service, which was killed
    kept = finished_parts(folder)
    assert kept >= 2
    with Served(store, saved) as service:
        assert service.job(id_)["state"] == "running"
        until(lambda: finished_parts(folder) > kept)
        assert service.stop() == 0  # in order this time: the job is handed back, and taken up at once
    until(lambda: not _labellers(id_))
    with Store.open(store) as opened:
        found = opened.jobs.get(id_, tenant="default")
        assert found is not None
        assert (found.state, found.counts["begins"]) == (State.QUEUED, kept * 4096)
    with Served(store, saved) as service:
        until(lambda: State(service.job(id_)["state"]).is_final)
        job = service.job(id_)
        assert (job["state"], job["rows"]) == ("done", 30_000)
        result, rejects = labelled(body, "out.csv", models["onnx"], tmp_path)
        assert service.ask("GET", f"/v1/jobs/{id_}/result") == (200, result)
        assert service.ask("GET", f"/v1/jobs/{id_}/rejects") == (200, rejects)


def test_a_job_that_was_finished_before_anybody_wrote_it_down_is_not_done_again(
    client: TestClient, models: dict[str, Model]
) -> None:
    id_ = send(client, GOOD).json()["id"]
    ended(client, id_)
    store = the_store(client)
    job = store.jobs.get(id_, tenant=None)
    assert job is not None
    until(lambda: not list((files(client) / id_).glob("input.*")))
    again = f"{id_[:-1]}{'0' if id_[-1] != '0' else '1'}"
    (files(client) / id_).rename(files(client) / again)  # without the file that came there is nothing to label
    long_ago = datetime.now(UTC) - timedelta(minutes=10)
    store.jobs.add(replace(job, id=again, state=State.RUNNING, updated=long_ago, created=long_ago, counts={}))
    found = ended(client, again)
    assert (found["state"], found["counts"]["accepted"], found["model"]) == ("done", 2, models["onnx"].id)
