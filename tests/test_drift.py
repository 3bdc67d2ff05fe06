"""Whether the traffic of now looks like that of before."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tagdesk.arrays import Targets
from tagdesk.drift import Meaning, Settings, Shift, Texts, Verdict, Window, compare
from tagdesk.drift.measures import MEASURES
from tagdesk.drift.visible import visible_rise
from tagdesk.errors import InputError, UsageError

NAMES = ("Billing", "Access", "Shipping")
RATES = (0.1, 0.2, 0.3)


def window(n: int = 500, rates: tuple[float, ...] = RATES, seed: int = 0, names: tuple[str, ...] = NAMES) -> Window:
    """Tickets that are given each label by chance; scores above one half where they are."""
    generator = np.random.default_rng(seed)
    decided = generator.random((n, len(rates))) < rates
    probs = (generator.random((n, len(rates))) + decided).astype(np.float32) / 2
    return Window(names, probs, decided, model="m", policy="p")


def texts_of(n: int, seed: int = 0, longer: float = 0.0, other: int = 0) -> Texts:
    """No two alike, of about 80 characters; the first `other` in Cyrillic."""
    lengths = np.random.default_rng(seed).normal(80 + longer, 20, n).clip(1).astype(np.int64)
    scripts = np.where(np.arange(n) < other, "Cyrillic", "Latin")
    return Texts(np.arange(n, dtype=np.int64) + 1_000_000 * seed, lengths, scripts)


def meaning_of(n: int, seed: int = 0, away: float = 0.0, unknown: int = 0) -> Meaning:
    vectors = np.random.default_rng(seed).normal(size=(n, 6)).astype(np.float32)
    vectors[:, 0] += away
    return Meaning(np.arange(n), vectors, np.where(np.arange(n) < unknown, 0.2, 0.0))


def labelled(full: Window, steepness: float = 1.0, shift: float = 0.0, seed: int = 0, n: int | None = None) -> Window:
    """With labels from people, by the scores' logits times `steepness` plus `shift`, for the first n tickets."""
    probs = full.probs.astype(np.float64).clip(0.01, 0.99)
    logits = steepness * np.log(probs / (1 - probs)) + shift
    targets: Targets = np.random.default_rng(seed).random(probs.shape) < 1 / (1 + np.exp(-logits))
    known = np.arange(len(full)) < (len(full) if n is None else n)
    return replace(full, targets=targets, known=known)


def by_kind(verdict: Verdict, kind: str, label: str | None = None) -> Shift:
    (found,) = (shift for shift in verdict.shifts if (shift.kind, shift.label) == (kind, label))
    return found


def kinds(shifts: Any) -> set[str]:
    return {shift.kind for shift in shifts}


def test_windows_of_the_same_traffic_are_rarely_called_drifted() -> None:
    alarms = [compare(window(200, seed=2 * seed), window(200, seed=2 * seed + 1)).state for seed in range(150)]
    assert alarms.count("drifted") <= 13  # 5 %, and two standard errors


def test_a_label_that_is_given_oftener_is_named_first() -> None:
    verdict = compare(window(), window(rates=(0.25, 0.2, 0.3), seed=1))
    assert verdict.state == "drifted"
    first = verdict.drifted[0]
    assert (first.kind, first.label, first.verdict) == ("label_rate", "Billing", "drifted")
    assert first.difference.low > 0.08
    now, before = (f"{share:.0%}" for share in (first.difference.current, first.difference.reference))
    assert verdict.sentence.startswith(f"Drifted: 'Billing' is given to {now} of tickets, {before} before")
    assert verdict.shifts[: len(verdict.drifted)] == verdict.drifted


def test_no_sign_of_drift_is_said_with_the_change_that_would_have_been_seen() -> None:
    verdict = compare(window(), window(seed=1))
    assert verdict.state == "steady"
    assert verdict.visible is not None
    assert verdict.sentence == (
        f"No sign of drift in 500 tickets; a change of about {100 * verdict.visible:.0f} points in a label's rate "
        "would have been seen."
    )
    assert 0.08 < verdict.visible < 0.14


def test_the_change_that_would_have_been_seen_is_seen_nine_times_in_ten() -> None:
    steady = compare(window(), window(seed=1))
    assert steady.visible is not None
    changed = (0.1, 0.2 + steady.visible, 0.3)  # the rate in the middle
    verdicts = [compare(window(seed=2 * seed), window(rates=changed, seed=2 * seed + 1)) for seed in range(60)]
    assert sum(by_kind(verdict, "label_rate", "Access").is_drift for verdict in verdicts) >= 48


def test_a_proven_change_too_small_to_matter_is_no_drift() -> None:
    verdict = compare(window(200_000), window(200_000, rates=(0.11, 0.2, 0.3), seed=1))
    assert by_kind(verdict, "label_rate", "Billing").verdict == "too small to matter"
    assert verdict.state == "steady"
    keen = Settings(points=0.005)
    assert compare(window(200_000), window(200_000, rates=(0.11, 0.2, 0.3), seed=1), keen).state == "drifted"


def test_a_burst_of_the_same_ticket_counts_once() -> None:
    now = window(300, rates=(1.0, 1.0, 1.0), seed=1)
    burst = replace(
        now,
        probs=np.vstack([window(300, seed=1).probs, np.repeat(now.probs[:1], 400, axis=0)]),
        decided=np.vstack([window(300, seed=1).decided, np.repeat(now.decided[:1], 400, axis=0)]),
    )
    verdict = compare(window(), burst)
    assert verdict.state == "steady"
    assert (verdict.tickets, verdict.different) == ((500, 700), (500, 301))
    all_different = replace(burst, texts=texts_of(700))
    assert compare(replace(window(), texts=texts_of(500)), all_different).state == "drifted"


def test_labels_per_ticket_and_tickets_without_one_are_compared() -> None:
    before = replace(window(), decided=np.tile([True, False, False], (500, 1)))
    decided = np.zeros((500, 3), np.bool_)
    decided[:250] = True, True, False
    verdict = compare(before, replace(window(seed=1), decided=decided))
    assert {"labels_per_ticket", "no_label"} <= kinds(
        compare(window(), replace(window(seed=1), decided=decided)).shifts
    )
    assert by_kind(verdict, "no_label").is_drift
    assert by_kind(verdict, "labels_per_ticket").difference.effect == 0
    assert by_kind(verdict, "label_rate", "Access").said == "'Access' is given to 50% of tickets, 0% before"
    decided[250:] = True, True, True
    assert by_kind(compare(before, replace(window(seed=1), decided=decided)), "labels_per_ticket").is_drift


@pytest.mark.parametrize(
    ("kind", "before", "now"),
    [
        ("out_of_scope", {"refused": np.arange(500) < 20}, {"refused": np.arange(500) < 70}),
        ("length", {"texts": texts_of(500)}, {"texts": texts_of(500, 1, longer=20)}),
        ("script", {"texts": texts_of(500, other=5)}, {"texts": texts_of(500, 1, other=50)}),
        ("meaning", {"meaning": meaning_of(500)}, {"meaning": meaning_of(500, 1, away=1)}),
        ("unknown_words", {"meaning": meaning_of(500, unknown=5)}, {"meaning": meaning_of(500, 1, unknown=60)}),
    ],
)
def test_each_kind_of_change_is_seen_alone(kind: str, before: dict[str, Any], now: dict[str, Any]) -> None:
    verdict = compare(replace(window(), **before), replace(window(seed=1), **now))
    assert kinds(verdict.drifted) == {kind}
    assert verdict.sentence == f"Drifted: {verdict.drifted[0].said}."
    assert compare(replace(window(), **before), replace(window(seed=1), **before)).state == "steady"


def test_scores_that_moved_without_a_decision_are_seen() -> None:
    now = window(seed=1)
    moved = replace(now, probs=np.where(now.decided, now.probs, now.probs / 2))
    verdict = compare(window(), moved)
    assert kinds(verdict.drifted) == {"score"}
    said = by_kind(verdict, "score", "Access")
    assert said.above is not None
    assert said.what == f"scores of 'Access' above {said.above:.3g}"


def test_scores_of_being_out_of_scope_are_compared() -> None:
    none = np.linspace(0, 1, 500, dtype=np.float32)
    before, now = replace(window(), none=none), replace(window(seed=1), none=none**3)
    assert by_kind(compare(before, now), "scope_score").is_drift


def test_labels_of_people_show_scores_that_promise_too_much() -> None:
    before = labelled(window(1000))
    verdict = compare(before, labelled(window(1000, seed=1), shift=-1.5, seed=1))
    assert {"calibration"} <= kinds(verdict.drifted) <= {"calibration", "slope"}
    assert "of labelled tickets where scores say" in by_kind(verdict, "calibration", "Billing").said
    assert compare(before, labelled(window(1000, seed=1), seed=1)).state == "steady"


def test_labels_of_people_show_scores_that_are_too_sure() -> None:
    verdict = compare(labelled(window(1500)), labelled(window(1500, seed=1), steepness=0.4, seed=1))
    assert by_kind(verdict, "slope").is_drift
    assert "should be less sure" in by_kind(verdict, "slope").said


def test_a_model_that_was_off_all_along_has_not_drifted_but_is_off_where_before_nobody_labelled() -> None:
    before, now = labelled(window(1000), shift=-1.5), labelled(window(1000, seed=1), shift=-1.5, seed=1)
    assert compare(before, now).state == "steady"
    found = compare(replace(before, targets=None), now)
    assert "calibration" in kinds(found.drifted)
    assert found.drifted[0].difference.reference == 0


def test_without_enough_labels_of_people_scores_are_not_judged_and_it_is_said_why() -> None:
    verdict = compare(window(), labelled(window(seed=1), n=99))
    left = {each.kind: each.why for each in verdict.left_out}
    assert left["calibration"] == left["slope"]
    assert left["slope"].startswith("99 tickets of the current window are labelled")
    few = compare(window(), labelled(window(rates=(0.01, 0.2, 0.3), seed=1), n=100))
    assert ("calibration", "Billing") in {(each.kind, each.label) for each in few.left_out}


@pytest.mark.parametrize(("before", "now"), [(0, 0), (0, 500), (500, 0), (3, 500), (500, 99), (99, 98)])
def test_too_few_tickets_get_no_verdict_and_it_says_how_many_are_missing(before: int, now: int) -> None:
    verdict = compare(window(before), window(now, seed=1))
    assert (verdict.state, verdict.shifts, verdict.visible) == ("too few", (), None)
    missing = 100 - min(before, now)
    assert verdict.sentence.endswith(f"{missing} {'is' if missing == 1 else 'are'} missing.")
    for count, where in ((before, "the reference"), (now, "the current window")):
        assert (f"{where} has {count}" in verdict.sentence) == (count < 100)


def test_as_many_tickets_as_needed_get_a_verdict() -> None:
    assert compare(window(100), window(100, seed=1)).state == "steady"
    assert compare(window(20), window(20, seed=1), Settings(fewest=20)).state != "too few"


def test_tickets_that_are_all_the_same_are_too_few() -> None:
    same = window(500).take(np.zeros(1, np.int64))
    flat = replace(same, probs=np.repeat(same.probs, 500, axis=0), decided=np.repeat(same.decided, 500, axis=0))
    assert compare(flat, window()).different == (1, 500)
    assert compare(flat, window()).state == "too few"


def test_constant_scores_of_different_texts_are_compared() -> None:
    flat = replace(
        window(), probs=np.full((500, 3), 0.4, np.float32), decided=np.zeros((500, 3), np.bool_), texts=texts_of(500)
    )
    same = compare(flat, replace(flat, texts=texts_of(500, 1)))
    assert same.state == "steady"
    assert all(np.isfinite(shift.difference.p) for shift in same.shifts)
    certain = replace(flat, decided=np.ones((500, 3), np.bool_))
    assert by_kind(compare(flat, certain), "labels_per_ticket").difference.p == 0
    assert compare(flat, certain).state == "drifted"


def test_a_label_that_nobody_is_given_is_not_tested_and_one_that_is_new_is() -> None:
    verdict = compare(window(rates=(0.0, 0.2, 0.3)), window(rates=(0.0, 0.2, 0.3), seed=1))
    assert ("label_rate", "Billing") in {(each.kind, each.label) for each in verdict.left_out}
    new = compare(window(rates=(0.0, 0.2, 0.3)), window(seed=1))
    assert new.sentence.startswith("Drifted: 'Billing' is given to ")
    assert ", 0% before" in new.sentence


def test_one_label_alone_is_compared() -> None:
    verdict = compare(window(rates=(0.2,), names=("A",)), window(rates=(0.4,), names=("A",), seed=1))
    assert by_kind(verdict, "label_rate", "A").is_drift
    assert not {"labels_per_ticket", "no_label"} & kinds(verdict.shifts)


def test_windows_of_very_different_size_are_compared() -> None:
    assert compare(window(50_000), window(120, seed=1)).state == "steady"
    assert compare(window(50_000), window(120, rates=(0.4, 0.2, 0.3), seed=1)).state == "drifted"


def test_what_one_window_lacks_is_left_out_and_named() -> None:
    full = replace(window(), texts=texts_of(500), meaning=meaning_of(500), refused=np.zeros(500, np.bool_))
    verdict = compare(full, window(seed=1))
    left = {each.kind: each.why for each in verdict.left_out}
    assert {"length", "script", "meaning", "unknown_words", "out_of_scope", "calibration", "slope"} <= set(left)
    assert left["length"] == "the texts of one window are gone"
    assert "embeddings" in left["meaning"]
    few = replace(full, meaning=Meaning(np.arange(99), np.ones((99, 6), np.float32)))
    assert "meaning" in kinds(compare(full, few).left_out)


def test_where_the_texts_of_one_window_are_gone_both_go_by_scores() -> None:
    now = window(seed=1)
    twice = now.take(np.arange(500))
    twice = replace(twice, probs=np.vstack([now.probs] * 2), decided=np.vstack([now.decided] * 2))
    told_apart = replace(twice, texts=texts_of(1000))
    assert compare(window(), told_apart).different == (500, 500)
    assert compare(replace(window(), texts=texts_of(500)), told_apart).different == (500, 1000)


def test_a_hundred_labels_leave_enough_allowance_for_the_embeddings() -> None:
    names, rates = tuple(f"label {i}" for i in range(100)), (0.05,) * 100
    before = replace(window(rates=rates, names=names), meaning=meaning_of(500))
    now = replace(window(rates=rates, names=names, seed=1), meaning=meaning_of(500, 1, away=0.7))
    assert kinds(compare(before, now).drifted) == {"meaning"}


def test_each_kind_of_evidence_spends_its_part_whatever_the_number_of_labels() -> None:
    for rates in ((0.2,), RATES, (0.2,) * 30):
        names = tuple(map(str, range(len(rates))))
        verdict = compare(window(rates=rates, names=names), window(rates=rates, names=names, seed=1))
        weights = [shift.weight for shift in verdict.shifts if shift.kind == "label_rate"]
        assert sum(weights) == pytest.approx(MEASURES[0][0])


def test_windows_of_two_models_policies_or_label_sets_are_refused() -> None:
    for change in ({"model": "n"}, {"policy": "q"}, {"names": ("Billing", "Access", "Other")}):
        with pytest.raises(InputError, match="one model and policy") as caught:
            compare(window(), replace(window(), **change))
        assert caught.value.code == "mixed_models"
    assert compare(Window.of([], NAMES), window()).state == "too few"


@pytest.mark.parametrize("name", ["{}", "{0.__class__}", "%s %d", "a'b\"c", "\x1b[2J", "|", "\ud800", "x" * 200])
def test_hostile_names_of_labels_stand_in_the_words_as_they_are(name: str) -> None:
    names = (name, "B", "C")
    verdict = compare(window(names=names), window(rates=(0.4, 0.2, 0.3), names=names, seed=1))
    assert verdict.sentence.startswith(f"Drifted: '{name}' is given to ")
    assert verdict.drifted[0].what == f"rate of '{name}'"


def test_the_document_is_json_that_says_the_same() -> None:
    verdict = compare(labelled(window()), labelled(window(rates=(0.3, 0.2, 0.3), seed=1), seed=1))
    document = json.loads(json.dumps(verdict.to_dict(), allow_nan=False))
    assert (document["verdict"], document["sentence"]) == ("drifted", verdict.sentence)
    assert len(document["shifts"]) == len(verdict.shifts)
    first = document["shifts"][0]
    assert (first["kind"], first["label"], first["verdict"]) == ("label_rate", "Billing", "drifted")
    assert first["interval"][0] <= first["effect"] <= first["interval"][1]
    assert first["p"] <= first["p_adjusted"]
    empty = compare(window(3), window(3)).to_dict()
    assert (empty["verdict"], empty["shifts"], empty["visible_change"]) == ("too few", [], None)


def test_the_same_windows_give_the_same_verdict() -> None:
    before, now = (replace(window(seed=seed), meaning=meaning_of(500, seed)) for seed in (0, 1))
    assert compare(before, now) == compare(before, now)


def test_fewer_false_alarms_ask_for_more_proof() -> None:
    before, now = window(), window(rates=(0.19, 0.2, 0.3), seed=1)
    assert compare(before, now).state == "drifted"
    assert compare(before, now, Settings(false_alarms=1e-6)).state == "steady"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("false_alarms", 0.0),
        ("false_alarms", 0.6),
        ("false_alarms", float("nan")),
        ("fewest", 3),
        ("points", -0.1),
        ("points", 1.1),
        ("embedded", 1e9),
        ("permutations", 10),
        ("seed", -1),
    ],
)
def test_settings_that_make_no_sense_are_refused(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=name):
        Settings(**{name: value})


@pytest.mark.parametrize("rate", [0.0, 0.5, 0.99, 1.0])
def test_a_visible_rise_ends_at_all_tickets(rate: float) -> None:
    assert 0 <= visible_rise(rate, 100, 100, level=0.001) <= 1 - rate
