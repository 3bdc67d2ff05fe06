from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tiny
from tagdesk.model import ReadingCache
from tagdesk.model.once import read_once
from tagdesk.model.reading import Reading


class Reader:
    """Says of each text how long it is, and counts what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, texts: Sequence[str]) -> Reading:
        self.asked += texts
        length = np.array([[len(text)] for text in texts], dtype=np.float32).reshape(-1, 1)
        no = np.zeros(len(texts), dtype=np.bool_)
        return Reading(length, length / 2, None, no, no, no.astype(np.float64))


def test_equal_texts_of_one_call_are_read_once() -> None:
    reader = Reader()
    reading = read_once(["aa", "b", "aa", "aa"], reader)
    assert reader.asked == ["aa", "b"]
    assert reading.raw[:, 0].tolist() == [2, 1, 2, 2]
    assert reading.none is None


def test_no_texts_give_an_empty_reading_with_and_without_a_cache() -> None:
    for cache in (None, ReadingCache()):
        assert read_once([], Reader(), cache).raw.shape == (0, 1)


def test_a_cache_answers_what_was_read_before_in_the_order_that_is_asked() -> None:
    reader, cache = Reader(), ReadingCache()
    read_once(["a", "bb"], reader, cache)
    reading = read_once(["ccc", "bb", "a", "ccc"], reader, cache)
    assert reader.asked == ["a", "bb", "ccc"]
    assert reading.raw[:, 0].tolist() == [3, 2, 1, 3]
    assert (cache.hits, cache.misses) == (2, 3)


def test_the_least_recently_used_reading_goes_first() -> None:
    reader, cache = Reader(), ReadingCache(most=2)
    for text in ("a", "bb", "a", "ccc", "a", "bb"):
        read_once([text], reader, cache)
    assert reader.asked == ["a", "bb", "ccc", "bb"]
    assert len(cache) == 2


def test_more_texts_than_the_cache_holds_are_all_answered() -> None:
    texts = ["x" * length for length in range(1, 30)]
    cache = ReadingCache(most=3)
    assert read_once(texts, Reader(), cache).raw[:, 0].tolist() == list(range(1, 30))
    assert len(cache) == 3


def test_a_cache_keeps_no_text() -> None:
    cache = ReadingCache()
    read_once(["my name is Anneliese"], Reader(), cache)
    assert "Anneliese" not in repr(vars(cache))
    cache.clear()
    assert len(cache) == 0


def test_what_another_thread_reads_is_waited_for() -> None:
    cache, started, go = ReadingCache(), threading.Event(), threading.Event()
    reader = Reader()

    def slow(texts: Sequence[str]) -> Reading:
        started.set()
        assert go.wait(10)
        return reader(texts)

    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(read_once, ["same"], slow, cache)
        assert started.wait(10)
        others = [pool.submit(read_once, ["same", f"other {number}"], reader, cache) for number in range(7)]
        go.set()
        assert all(future.result(10).raw[0, 0] == 4 for future in (first, *others))
    assert reader.asked.count("same") == 1


def test_a_reading_that_fails_is_forgotten_and_tried_anew() -> None:
    cache, reader = ReadingCache(), Reader()

    def fails(_texts: Sequence[str]) -> Reading:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        read_once(["a"], fails, cache)
    assert read_once(["a"], reader, cache).raw[0, 0] == 1


def test_a_model_with_a_cache_says_the_same(tmp_path: Path) -> None:
    model = tiny.model_of(tiny.onnx_scorer(tmp_path / "graph"))
    texts = ["card charged", "parcel late", "card charged", "card charged " * 40]
    plain = [prediction.to_dict() for prediction in model.predict(texts)]
    cached = replace(model, cache=ReadingCache())
    assert [prediction.to_dict() for prediction in cached.predict(texts)] == plain
    assert [prediction.to_dict() for prediction in cached.predict(texts)] == plain
    assert cached.cache is not None
    assert cached.cache.hits >= 3
    assert cached.save(tmp_path / "a").id == model.save(tmp_path / "b").id


def test_a_cache_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        ReadingCache(0)
