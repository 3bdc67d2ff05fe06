from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tagdesk.api.problems import Problem
from tagdesk.api.readiness import KEPT, Readiness
from tagdesk.desk import Answer, Desk, Overloaded, Settings
from tagdesk.store import Store


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Store.open(tmp_path / "tagdesk.db") as store:
        opened = Desk(store, Settings())
        yield opened
        opened.close()


def counting(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with each text that the line reads."""
    asked: list[int] = []
    read = desk.line._answer

    def counted(texts: Sequence[str]) -> list[Answer]:
        asked.extend([1] * len(texts))
        return read(texts)

    monkeypatch.setattr(desk.line, "_answer", counted)
    return asked


def test_many_who_ask_at_once_cost_one_reading(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, now = counting(desk, monkeypatch), [0.0]
    readiness = Readiness(desk, 30, clock=lambda: now[0])

    async def many() -> None:
        await asyncio.gather(*(readiness.check() for _ in range(200)))

    asyncio.run(many())
    asyncio.run(many())
    assert len(asked) == 1
    now[0] = KEPT
    asyncio.run(many())
    assert len(asked) == 2


def test_one_who_leaves_does_not_take_the_finding_from_the_others(desk: Desk) -> None:
    readiness = Readiness(desk, 30)

    async def leave() -> str:
        gone = asyncio.ensure_future(readiness.check())
        stays = asyncio.ensure_future(readiness.check())
        await asyncio.sleep(0)
        gone.cancel()
        return (await stays).model

    assert asyncio.run(leave()) == desk.live.model.id


def test_a_model_that_hangs_is_not_ready(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()

    def never(_texts: Sequence[str]) -> list[Answer]:
        assert go.wait(30)
        return []

    monkeypatch.setattr(desk.line, "_answer", never)
    with pytest.raises(Problem) as refused:
        asyncio.run(Readiness(desk, 0.01).check())
    go.set()
    assert (refused.value.status_code, refused.value.code) == (503, "not_ready")


def test_a_model_without_scores_is_not_ready(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    read = desk.line._answer

    def silent(texts: Sequence[str]) -> list[Answer]:
        return [replace(one, prediction=replace(one.prediction, scores={})) for one in read(texts)]

    monkeypatch.setattr(desk.line, "_answer", silent)
    with pytest.raises(Problem, match="no scores"):
        asyncio.run(Readiness(desk, 30).check())


def test_a_full_line_is_told_without_standing_in_it(desk: Desk) -> None:
    desk.line._queued = 1e9
    with pytest.raises(Overloaded):
        asyncio.run(Readiness(desk, 30).check())
    assert len(desk.line) == 0
    desk.line._queued = 0.0
