from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from naughty_strings import NAUGHTY_STRINGS
from tagdesk.arrays import FloatArray
from tagdesk.calibrate import Calibration
from tagdesk.errors import InputError, UsageError
from tagdesk.explain import (
    NONE,
    Contribution,
    Inquiry,
    Limits,
    Reason,
    Shares,
    Span,
    Weighed,
    choose_labels,
    columns_of,
    explanation_of,
    inquire,
    scores_of,
    weigh_exactly,
    without,
    words_of,
)
from tagdesk.explain.align import origins
from tagdesk.explain.words import LONGEST, NOTHING, opening, owners
from tagdesk.prediction import Prediction
from tagdesk.text import check_text, clean

HALF = re.compile("[\ud800-\udfff]")  # no text that anything reads
HOSTILE = [text for text in NAUGHTY_STRINGS if len(text) < 1000 and not HALF.search(text)]
WEIGHTS = {"refund": 3.0, "twice": 1.0, "not": -2.0, "parcel": 5.0}


def words(text: str) -> list[str]:
    return [text[start:end] for start, end in words_of(text)]


def said(texts: Sequence[str]) -> FloatArray:
    """Log-odds (texts, 2): a sum over known words, each time they occur, and minus a half of it."""
    total = np.array([sum(WEIGHTS.get(word.strip(".,!").lower(), 0.0) for word in t.split()) for t in texts])
    return np.column_stack([total, -total / 2])


def answered(asking: Inquiry, judge: Callable[[Sequence[str]], FloatArray], *, at_most: int = 10**6) -> Weighed:
    """What an inquiry finds out, if only so many texts are judged."""
    left = at_most
    try:
        texts = next(asking)
        while True:
            asked = texts[:left]
            left -= len(asked)
            texts = asking.send(judge(asked))
    except StopIteration as end:
        return end.value


def told(text: str, weighed: Weighed, column: int = 0) -> dict[str, float]:
    return {
        text[span.start : span.end]: round(float(weight), 6)
        for span, weight in zip(weighed.spans, weighed.weights[:, column], strict=True)
    }


# words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Can't log in!", ["Can't", "log", "in"]),
        ("e-mail: a_b@c.de, 1,50 at 10:30.", ["e-mail", "a_b", "c", "de", "1,50", "at", "10:30"]),
        ("cafe\u0301 नमस्ते 배송이", ["cafe\u0301", "नमस्ते", "배송이"]),
        ("返金してください please", ["返金", "して", "くだ", "さい", "please"]),
        ("ไม่ได้", ["ไม่", "ได้"]),
        ("👩‍💻👍🏽 refund❤️ 🇩🇪 1️⃣", ["👩‍💻👍🏽", "refund", "❤️", "🇩🇪", "1️⃣"]),
        ("\u202erefund\u202c \u2067now\u2069", ["refund", "now"]),
        ("re\u00adfund re\u200bfund", ["re\u00adfund", "re\u200bfund"]),
        ("?!? (ok)", ["?!?", "ok"]),
        ("<div class='a b'>hi</div> a < b > c", ["hi", "a", "<", "b", "c"]),
        ("caf&eacute; B&amp;B", ["caf&eacute;", "B", "B"]),
        ("", []),
        (" \n\t\u200b", []),
    ],
)
def test_words_are_whole_letters_with_their_marks(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize("text", HOSTILE)
def test_words_of_hostile_texts_lie_in_the_text_and_apart(text: str) -> None:
    found = words_of(text)
    assert all(0 <= word.start < word.end <= len(text) for word in found)
    assert all(one.end <= other.start for one, other in pairwise(found))
    owned = owners(text, found)
    assert owned.shape == (len(text),)
    assert owned.max(initial=-1) < max(1, len(found))
    assert all((owned[word.start : word.end] == place).all() for place, word in enumerate(found))


def test_each_text_that_a_model_can_read_has_a_word() -> None:
    for text in NAUGHTY_STRINGS:
        try:
            check_text(text)
        except InputError:
            continue
        assert words_of(text), repr(text[:40])


def test_leaving_out_keeps_the_rest_as_it_is() -> None:
    text = "I was charged twice, please"
    assert without(text, [Span(14, 19), Span(0, 1)]) == " was charged , please"
    assert without(text, []) == text
    assert without("refund \u200b", [Span(0, 6)]) == NOTHING
    assert without("refund!", [Span(0, 6)]) == "!"
    assert check_text(NOTHING)


def test_only_the_opening_of_a_huge_text_is_looked_at_and_no_word_is_cut() -> None:
    text = "wordy " * LONGEST
    assert opening(text) == text[: len(opening(text))]
    assert LONGEST - 10 < len(opening(text)) <= LONGEST
    assert set(opening(text).split()) == {"wordy"}
    assert len(opening("x" * 2 * LONGEST)) == LONGEST


def test_signs_belong_to_the_word_beside_them() -> None:
    text = "(ok) >> go! <b>"
    assert owners(text, words_of(text)).tolist() == [0] * 4 + [-1, 0, 0, -1, 1, 1, 1, -1, -1, -1, -1]
    assert owners("- ok", [Span(2, 4)]).tolist() == [0, -1, 0, 0]


# where cleaned characters come from


@pytest.mark.parametrize(
    "text",
    [
        "I was  charged\r\ntwice",
        "Hello <a href='x y'>click here</a> now",
        "&lt;b&gt;bold&lt;/b&gt; caf&eacute; &amp; don&#39;t",
        "> quoted a > b\n> > more of it",
        "ﬁne ﬂow of ½ \uff32\uff25\uff26",
        "aB3" * 100 + " hi after the attachment",
        "\u202erefund\u202c me",
    ],
)
def test_a_cleaned_word_comes_from_the_word_that_it_was(text: str) -> None:
    cleaned = clean(text).text
    places = origins(text, cleaned)
    for start, end in words_of(cleaned):
        found = places[start:end]
        assert ((found >= 0) & (found < len(text))).all(), cleaned[start:end]
        if cleaned[start:end] in text:
            assert text[found[0] : found[-1] + 1] == cleaned[start:end]


def test_a_word_that_stands_twice_comes_from_two_places() -> None:
    assert origins("late  late", "late late").tolist() == [0, 1, 2, 3, -1, 6, 7, 8, 9]


def test_a_word_that_looks_another_way_is_not_taken_for_a_later_one() -> None:
    text = "x<a href='q r'>late</a> one two three four five late"
    cleaned = clean(text).text
    places = origins(text, cleaned)
    assert places[cleaned.index("late")] == text.index("late")
    assert places[cleaned.rindex("late")] == text.rindex("late")
    assert places[cleaned.index("one")] == text.index("one")


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="ab <>&;/\n\u00e9\u0301\u200b🙂", max_size=60))
def test_places_are_always_places(text: str) -> None:
    cleaned = clean(text).text
    places = origins(text, cleaned)
    assert places.shape == (len(cleaned),)
    assert ((places >= -1) & (places < max(1, len(text)))).all()


# what is read off


class Letters:
    """Each letter adds its place in the alphabet to column 0, and takes it away from column 1."""

    def shares(self, text: str, columns: Sequence[int]) -> Shares:
        numbers = np.array([ord(letter) - 96.0 if letter.isalpha() else 0.0 for letter in text.lower()])
        return Shares(np.array([0.5, -0.5])[columns], np.column_stack([numbers, -numbers])[:, columns])


def test_weights_that_are_read_off_add_up_to_the_calibrated_log_odds() -> None:
    text = "<p>Bad  bad</p>\ncab"
    calibration = Calibration(np.array([2.0, 0.5]), np.array([0.1, -0.1]))
    found = weigh_exactly(text, Letters(), calibration, [1, 0])
    assert [text[start:end] for start, end in found.spans] == ["Bad", "bad", "cab"]
    assert np.allclose(found.weights[:, 1], [14, 14, 12])
    assert np.allclose(found.base, [-0.35, 1.1])
    logits = np.array([-0.5 - 20, 0.5 + 20]) * [0.5, 2.0] + [-0.1, 0.1]
    assert np.allclose(found.base + found.weights.sum(axis=0), logits, atol=1e-9)
    assert (found.is_exact, found.is_coarse, found.variants) == (True, False, 0)


# what is found by leaving out


def test_each_word_weighs_what_it_takes_away_and_the_same_word_twice_has_two_places() -> None:
    text = "twice. Refund, not twice"
    found = answered(inquire(text, said([text])[0]), said)
    assert [text[start:end] for start, end in found.spans] == ["twice", "Refund", "not", "twice"]
    assert found.weights[:, 0].tolist() == [1, 3, -2, 1]
    assert found.weights[:, 1].tolist() == [-0.5, -1.5, 1, -0.5]
    assert (found.variants, found.is_coarse, found.base) == (4, False, None)


def test_a_text_of_one_word_is_compared_with_a_text_of_none() -> None:
    asking = inquire("refund", np.array([3.0]))
    assert next(asking) == [NOTHING]
    with pytest.raises(StopIteration) as end:
        asking.send(np.array([[-1.0]]))
    assert end.value.value.weights.tolist() == [[4.0]]


def test_a_text_without_words_has_no_weights() -> None:
    found = answered(inquire("\u200b", np.array([1.0, 2.0])), said)
    assert (found.spans, found.weights.shape, found.variants) == ((), (0, 2), 0)


@pytest.mark.parametrize("most", [1, 2, 5, 16, 64, 200])
@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 1000])
def test_no_more_texts_are_judged_than_allowed_and_every_word_is_in_one_span(length: int, most: int) -> None:
    text = " ".join(["word"] * (length - 1) + ["refund"])
    found = answered(inquire(text, said([text])[0], most=most), said)
    assert found.variants <= most
    covered = sorted(place for start, end in found.spans for place in range(start, end))
    assert len(covered) == len(set(covered))
    assert all(
        any(span.start <= word.start and word.end <= span.end for span in found.spans) for word in words_of(text)
    )
    assert found.is_coarse == (len(found.spans) < length) == (length > most)
    assert found.weights[:, 0].sum() == pytest.approx(3)


def test_the_strongest_words_of_a_longer_text_are_found_one_by_one() -> None:
    text = " ".join("parcel" if place == 333 else "refund" if place == 77 else "word" for place in range(500))
    found = answered(inquire(text, said([text])[0]), said)
    strong = {word: weight for word, weight in told(text, found).items() if abs(weight) > 0.1}
    assert strong == {"parcel": 5, "refund": 3}
    assert found.is_coarse
    assert found.variants <= 64


def test_when_the_time_is_over_what_is_known_so_far_is_told() -> None:
    text = " ".join(["word"] * 300 + ["refund"])
    for allowed in (0, 1, 31, 32, 33, 40):
        found = answered(inquire(text, said([text])[0]), said, at_most=allowed)
        assert (found.variants, found.is_coarse) == (allowed, True)
    assert told(text, found)  # 40: the groups, none of them lost to a part that nobody looked at
    assert sum(end - start for start, end in found.spans) > 0.9 * len(text)
    short = answered(inquire("refund not twice", said(["refund not twice"])[0]), said, at_most=2)
    assert told("refund not twice", short) == {"refund": 3, "not": -2}


def test_of_a_ticket_that_was_read_in_passages_the_part_is_looked_at_that_is_judged_like_the_whole() -> None:
    filling = "nothing of any interest stands here. " * 40
    text = f"{filling}twice refund. {filling}not a parcel. {filling}"

    def passages(texts: Sequence[str]) -> FloatArray:
        """A column that only "refund" raises, and one for "parcel"."""
        return np.array([[9.0 * ("refund" in t) - 4, 7.0 * ("parcel" in t) - 4] for t in texts])

    found = answered(inquire(text, np.array([5.0, 3.0]), is_long=True), passages)
    for column, word in enumerate(("refund", "parcel")):
        known = ~np.isnan(found.weights[:, column])
        best = found.spans[int(np.nanargmax(found.weights[:, column]))]
        assert text[best.start : best.end] == word
        assert 0 < known.sum() < len(words_of(text)) / 2
    assert not (~np.isnan(found.weights)).all(axis=1).any()  # each part for its own label alone
    assert found.is_coarse
    assert found.variants <= 64
    explanation = explanation_of(text, ["A", "B"], [0.9, 0.8], found)
    assert all(reason.speaking_for[0].weight > 6 for reason in explanation.reasons)


@pytest.mark.parametrize("most", [1, 2, 3, 10])
@pytest.mark.parametrize("allowed", [0, 1, 2, 100])
def test_a_long_ticket_too_keeps_to_what_is_allowed(most: int, allowed: int) -> None:
    text = "refund please. " * 300
    found = answered(inquire(text, np.array([3.0, 1.0]), is_long=True, most=most), said, at_most=allowed)
    assert found.variants <= min(most, allowed)
    assert found.is_coarse


def test_a_text_beyond_what_is_looked_at_is_explained_by_its_opening() -> None:
    text = "refund " + "word " * LONGEST
    found = answered(inquire(text, said([text])[0]), said)
    assert found.is_coarse
    assert found.spans[-1].end <= LONGEST
    assert told(text, found)["refund"] == 3


def test_no_texts_to_judge_or_no_time_at_all_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="most = 0"):
        next(inquire("refund", np.array([1.0]), most=0))
    for limits in ({"most": 0}, {"seconds": -1.0}, {"seconds": float("nan")}):
        with pytest.raises(ValueError, match="expected at least 1"):
            Limits(**limits)


# labels and values


def prediction(*labels: str, flags: tuple[str, ...] = (), none: float | None = None) -> Prediction:
    return Prediction("hi", labels, {"A": 0.2, "B": 0.9, "C": 0.9, "D": 0.1}, {}, "m", "p", flags, none)


def test_explained_are_the_labels_given_else_the_best_two_and_first_that_none_applies() -> None:
    assert choose_labels(prediction("C", "A")) == ("C", "A")
    assert choose_labels(prediction()) == ("B", "C")
    assert choose_labels(prediction(flags=("out_of_scope",), none=0.7)) == (NONE, "B", "C")
    assert choose_labels(prediction(flags=("out_of_scope",))) == ("B", "C")
    many = Prediction("hi", tuple("ABCDEFG"), dict.fromkeys("ABCDEFG", 0.9), {}, "m", "p")
    assert choose_labels(many) == tuple("ABCDE")


def test_labels_that_are_asked_for_are_known_and_few() -> None:
    assert choose_labels(prediction("C"), ["D", "A", "D"]) == ("D", "A")
    assert choose_labels(prediction(none=0.1), [NONE]) == (NONE,)
    with pytest.raises(UsageError, match="known: A, B, C, D") as refused:
        choose_labels(prediction(), ["zanzibar"])
    assert (refused.value.code, "zanzibar" in str(refused.value)) == ("unknown_label", False)
    with pytest.raises(UsageError):
        choose_labels(prediction(), [NONE])  # the model knows no scope
    many = Prediction("hi", (), dict.fromkeys("ABCDEF", 0.1), {}, "m", "p")
    with pytest.raises(UsageError, match="at most 5"):
        choose_labels(many, "ABCDEF")


def test_a_label_that_is_called_as_no_label_is_stays_a_label() -> None:
    clash = Prediction("hi", (), {"A": 0.1, NONE: 0.4}, {}, "m", "p", ("out_of_scope",), 0.8)
    assert choose_labels(clash) == (NONE, "A")
    assert (scores_of(clash, [NONE]), columns_of(clash, [NONE])) == ([0.4], [1])
    scoped = prediction(none=0.8)
    assert (scores_of(scoped, ["D", NONE]), columns_of(scoped, ["D", NONE])) == ([0.1, 0.8], [3, 4])


def test_words_for_and_against_are_kept_apart_the_strongest_first() -> None:
    contributions = tuple(Contribution(n, n + 1, "x", weight) for n, weight in enumerate([0.1, -0.3, 0.5, 0.0, -0.4]))
    reason = Reason("A", 0.6, contributions)
    assert [one.weight for one in reason.speaking_for] == [0.5, 0.1]
    assert [one.weight for one in reason.speaking_against] == [-0.4, -0.3]
    assert [word["start"] for word in reason.to_dict(2)["words"]] == [2, 4]
    assert reason.has_deciding_word


def test_a_label_that_no_word_moves_says_so() -> None:
    assert not Reason("A", 0.99, (Contribution(0, 1, "x", 0.19), Contribution(1, 2, "y", -0.19))).has_deciding_word
    assert not Reason("A", 0.99, ()).has_deciding_word
    assert Reason("A", 0.99, (Contribution(0, 1, "x", -0.2),)).has_deciding_word


def test_json_rounds_weights_and_keeps_offsets() -> None:
    text = "a🙂 b"
    weighed = Weighed((Span(0, 1), Span(3, 4)), np.array([[1.23456, -1e-9], [np.nan, 2.0]]), variants=2)
    found = explanation_of(text, ["A", "B"], [0.5, 0.25], weighed).to_dict()
    assert found == {
        "method": "occlusion",
        "coarse": False,
        "variants": 2,
        "labels": [
            {
                "label": "A",
                "score": 0.5,
                "base": None,
                "has_deciding_word": True,
                "words": [{"start": 0, "end": 1, "text": "a", "weight": 1.2346}],
            },
            {
                "label": "B",
                "score": 0.25,
                "base": None,
                "has_deciding_word": True,
                "words": [
                    {"start": 0, "end": 1, "text": "a", "weight": 0.0},
                    {"start": 3, "end": 4, "text": "b", "weight": 2.0},
                ],
            },
        ],
    }
    assert str(found["labels"][1]["words"][0]["weight"]) == "0.0"  # never -0.0
