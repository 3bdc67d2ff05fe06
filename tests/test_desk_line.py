from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from tagdesk.desk.line import BATCH_TOKENS, FIRST_GUESS, Line, Overloaded, TooLate, weight_of


class Model:
    """Answers when it is let; remembers what it was asked together."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.begun = threading.Semaphore(0)
        self.go = threading.Semaphore(0)

    def __call__(self, texts: Sequence[str]) -> list[str]:
        self.asked.append(list(texts))
        self.begun.release()
        assert self.go.acquire(timeout=10)
        return [text.upper() for text in texts]


def test_whoever_comes_while_the_model_reads_is_answered_together_in_their_order() -> None:
    model = Model()
    with Line(model, longest_wait=10) as line:
        first = line.submit(["first"], within=10)
        assert model.begun.acquire(timeout=10)  # alone: nobody waits for company
        rest = [line.submit([f"a{n}", f"b{n}"], within=10) for n in range(5)]
        model.go.release(2)
        assert first.result(10) == ["FIRST"]
        assert [future.result(10) for future in rest] == [[f"A{n}", f"B{n}"] for n in range(5)]
    assert [len(texts) for texts in model.asked] == [1, 10]


def test_a_batch_holds_no_more_than_its_tokens_but_a_long_text_is_read_alone() -> None:
    model = Model()
    long = "x" * (5 * BATCH_TOKENS)
    with Line(model, longest_wait=100) as line:
        futures = [line.submit([text], within=10) for text in ("first", long, "second", "third")]
        model.go.release(4)
        assert [len(future.result(10)[0]) for future in futures] == [5, len(long), 6, 5]
    assert [long] in model.asked


def test_a_client_that_is_gone_is_not_read() -> None:
    model = Model()
    with Line(model, longest_wait=10) as line:
        first = line.submit(["first"], within=10)
        assert model.begun.acquire(timeout=10)
        gone = line.submit(["gone"], within=10)
        stays = line.submit(["stays"], within=10)
        assert gone.cancel()
        model.go.release(2)
        assert first.result(10) == ["FIRST"]
        assert stays.result(10) == ["STAYS"]
    assert model.asked == [["first"], ["stays"]]


def test_whoever_waited_until_the_deadline_is_not_read() -> None:
    model, now = Model(), [0.0]
    with Line(model, longest_wait=100, clock=lambda: now[0]) as line:
        first = line.submit(["first"], within=1)
        assert model.begun.acquire(timeout=10)
        late = line.submit(["late"], within=1)
        now[0] = 2.0
        model.go.release()
        assert first.result(10) == ["FIRST"]
        with pytest.raises(TooLate):
            late.result(10)
    assert model.asked == [["first"]]


def test_whoever_could_only_be_answered_after_the_deadline_is_not_read_unless_alone() -> None:
    model, now = Model(), [0.0]
    long = "x" * int(FIRST_GUESS * 4)  # a second's work
    with Line(model, longest_wait=100, clock=lambda: now[0]) as line:
        first = line.submit(["first"], within=1)
        assert model.begun.acquire(timeout=10)
        late, other = line.submit([long], within=2), line.submit(["other"], within=2)
        now[0] = 1.5
        model.go.release()
        with pytest.raises(TooLate):
            late.result(10)
        assert model.begun.acquire(timeout=10)
        alone = line.submit([long], within=0.1)
        model.go.release(2)
        assert first.result(10) == ["FIRST"]
        assert other.result(10) == ["OTHER"]
        assert alone.result(10) == [long.upper()]


def test_more_than_can_be_answered_in_time_is_refused_at_once_with_when_to_come_back() -> None:
    model = Model()
    with Line(model, longest_wait=1.0) as line:
        first = line.submit(["first"], within=10)
        assert model.begun.acquire(timeout=10)
        text = "x" * int(FIRST_GUESS * 4 * 3)  # three seconds' work
        second = line.submit([text], within=10)
        with pytest.raises(Overloaded) as refused:
            line.submit(["no"], within=10)
        assert refused.value.code == "overloaded"
        assert 2 <= refused.value.retry_after <= 4
        model.go.release(2)
        assert first.result(10)
        assert second.result(10)
        assert line.queued_tokens == 0


def test_an_answer_that_fails_reaches_all_who_asked_and_nobody_after_them() -> None:
    calls = []

    def answer(texts: Sequence[str]) -> list[str]:
        calls.append(list(texts))
        if "bad" in texts:
            raise ValueError("no")
        return list(texts)

    with Line(answer, longest_wait=10) as line:
        with pytest.raises(ValueError, match="no"):
            line.submit(["bad"], within=10).result(10)
        assert line.submit(["good"], within=10).result(10) == ["good"]


def test_who_is_read_together_with_a_text_that_fails_is_answered_all_the_same() -> None:
    model = Model()

    def answer(texts: Sequence[str]) -> list[str]:
        found = model(texts)
        if "bad" in texts:
            raise ValueError("no")
        return found

    with Line(answer, longest_wait=10) as line:
        first = line.submit(["first"], within=10)
        assert model.begun.acquire(timeout=10)
        others = [line.submit(texts, within=10) for texts in (["a"], ["b", "bad"], ["c"])]
        model.go.release(5)
        assert first.result(10) == ["FIRST"]
        assert others[0].result(10) == ["A"]
        with pytest.raises(ValueError, match="no"):
            others[1].result(10)
        assert others[2].result(10) == ["C"]
    assert model.asked == [["first"], ["a", "b", "bad", "c"], ["a"], ["b", "bad"], ["c"]]


def test_a_line_that_closes_answers_who_stands_in_it_and_lets_nobody_else_in() -> None:
    model = Model()
    line = Line(model, longest_wait=10)
    first = line.submit(["first"], within=10)
    assert model.begun.acquire(timeout=10)
    second = line.submit(["second"], within=10)
    closing = threading.Thread(target=line.close)
    closing.start()
    model.go.release(2)
    closing.join(10)
    assert (first.result(10), second.result(10)) == (["FIRST"], ["SECOND"])
    with pytest.raises(Overloaded):
        line.submit(["third"], within=10)


def test_the_pace_is_learned_from_what_was_measured() -> None:
    now = [0.0]

    def answer(texts: Sequence[str]) -> list[str]:
        now[0] += weight_of(texts) / 30_000  # much faster than the first guess
        return list(texts)

    with Line(answer, longest_wait=1, clock=lambda: now[0]) as line:
        for _ in range(40):
            line.submit(["some words"], within=10).result(10)
        assert line._pace == pytest.approx(30_000, rel=0.01)
