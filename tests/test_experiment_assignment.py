from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare

from tagdesk.errors import UsageError
from tagdesk.experiment import Experiment, Standing, Step, Unit, Variant, assign, unit_of, variants_of
from tagdesk.experiment.assignment import places
from tagdesk.experiment.layout import PARTS, Segment, in_order, moved, parts, shifted

MAY = datetime(2026, 5, 1, tzinfo=UTC)
GOLDEN = [[187379, 368636, 679309], [939665, 716140, 981450], [868436, 455993, 537362], [861467, 947080, 689701]]
UNITS = [f"customer:{i}" for i in range(20_000)]


def experiment(shares=(0.5, 0.5), name="colder", **more):
    return Experiment(name, tuple(Variant(f"v{i}", share) for i, share in enumerate(shares)), **more)


def test_a_unit_keeps_its_variant_without_anybody_remembering():
    first, again = (assign(experiment(), unit, MAY) for unit in ("customer:7", "customer:7"))
    assert first == again
    assert first.standing is Standing.IN
    assert [assign(experiment(), unit, MAY).variant for unit in UNITS[:200]] == [
        f"v{number}" for number in variants_of(experiment(), UNITS[:200])
    ]


def test_the_assignment_is_what_it_has_always_been():
    # Computed once and written down: a change here gives every customer of a running experiment another variant.
    assert places(experiment(), ["customer:1", "ticket:1", "", "é\U0001f600"]).tolist() == GOLDEN


def test_other_processes_and_hash_seeds_assign_alike():
    code = (
        "from tagdesk.experiment import *; "
        "e = Experiment('colder', (Variant('v0', 0.5), Variant('v1', 0.5))); "
        "print(variants_of(e, [f'customer:{i}' for i in range(300)]).tolist())"
    )
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        )
        assert json.loads(done.stdout) == variants_of(experiment(), UNITS[:300]).tolist()


def test_variants_get_the_shares_that_were_meant():
    counts = np.bincount(variants_of(experiment((0.5, 0.3, 0.2)), UNITS), minlength=3)
    assert chisquare(counts, np.array([0.5, 0.3, 0.2]) * len(UNITS)).pvalue > 0.001


def test_two_experiments_share_out_independently_and_so_do_two_salts():
    ours = variants_of(experiment(), UNITS)
    for other in (experiment(name="warmer"), experiment(salt="2")):
        table = np.histogram2d(ours, variants_of(other, UNITS), bins=2)[0]
        assert chi2_contingency(table).pvalue > 0.001


def test_holdout_ramp_and_variant_are_independent():
    found = places(experiment(), UNITS) // (PARTS // 2)
    assert found.mean(axis=0) == pytest.approx([0.5] * 3, abs=0.015)
    assert np.corrcoef(found.T)[~np.eye(3, dtype=bool)] == pytest.approx([0] * 6, abs=0.03)


def test_who_is_held_out_never_takes_part():
    held = experiment(holdout=0.1)
    found = [assign(held, unit, MAY) for unit in UNITS[:5000]]
    out = [each for each in found if each.standing is Standing.HELD_OUT]
    assert len(out) / 5000 == pytest.approx(0.1, abs=0.015)
    assert all(each.variant is None for each in out)
    free = [assign(experiment(), each.unit, MAY).variant for each in found if each.variant]
    assert free == [each.variant for each in found if each.variant]


def test_a_ramp_only_lets_units_in():
    ramp = (Step(MAY, 0.1), Step(MAY + timedelta(days=1), 0.5), Step(MAY + timedelta(days=2), 1.0))
    slow = experiment(ramp=ramp)
    before = {unit: assign(slow, unit, MAY - timedelta(seconds=1)) for unit in UNITS[:3000]}
    assert {each.standing for each in before.values()} == {Standing.WAITING}
    inside = set()
    for day, share in enumerate((0.1, 0.5, 1.0)):
        found = [assign(slow, unit, MAY + timedelta(days=day)) for unit in UNITS[:3000]]
        now = {each.unit for each in found if each.standing is Standing.IN}
        assert inside <= now
        assert len(now) / 3000 == pytest.approx(share, abs=0.03)
        assert {each.variant for each in found} <= {None, "v0", "v1"}
        inside = now
    assert all(each.variant == assign(experiment(), each.unit, MAY).variant for each in found)


def test_a_ticket_without_a_customer_stands_for_itself():
    assert unit_of(experiment(), "7", "9") == "customer:7"
    assert unit_of(experiment(), None, "7") == unit_of(experiment(), "", "7") == "ticket:7"
    assert unit_of(experiment(unit=Unit.TICKET), "7", "9") == "ticket:9"
    with pytest.raises(UsageError, match="neither a customer nor an id") as refused:
        unit_of(experiment(), None, "")
    assert refused.value.code == "no_unit"


def test_hostile_units_and_names_get_a_variant_of_their_own():
    units = ["", "\x00", "a\x00b", "a", "\ud800", "🙂" * 5000, '"],["', "é", "e\u0301"]
    found = places(experiment(name='"], "x'), units)
    assert len({tuple(row) for row in found.tolist()}) == len(units)
    assert ((found >= 0) & (found < PARTS)).all()
    # What is name and what is salt cannot run into each other.
    names = [experiment(name="a", salt="bc"), experiment(name="ab", salt="c")]
    assert places(names[0], ["u"]).tolist() != places(names[1], ["u"]).tolist()
    assert variants_of(experiment(), []).shape == (0,)


SHARES = st.lists(st.integers(0, 100), min_size=2, max_size=6).filter(any)


def shares_from(counts):
    return {f"v{i}": count / sum(counts) for i, count in enumerate(counts)}


@given(st.lists(SHARES, min_size=2, max_size=5))
@settings(deadline=None)
def test_a_change_of_shares_moves_no_more_than_it_must(changes):
    layout = in_order(shares_from(changes[0]))
    for counts in changes[1:]:
        ends = [0, *(segment.end for segment in layout)]
        held = dict.fromkeys((f"v{i}" for i in range(6)), 0)
        for segment, start in zip(layout, ends, strict=False):
            held[segment.variant] += segment.end - start
        after = shifted(layout, shares_from(counts))
        wanted = parts(shares_from(counts))
        least = sum(max(0, count - wanted.get(name, 0)) for name, count in held.items())
        assert moved(layout, after) * PARTS == pytest.approx(least)
        assert after[-1].end == PARTS
        assert shifted(after, shares_from(counts)) == after
        layout = after


def test_a_new_variant_takes_from_those_that_shrink_and_from_nobody_else():
    before = experiment((0.5, 0.5))
    after = before.with_shares({"v0": 0.5, "v1": 0.3, "v2": 0.2})
    ours, theirs = variants_of(before, UNITS), variants_of(after, UNITS)
    changed = ours != theirs
    assert set(ours[changed]) == {1}
    assert set(theirs[changed]) == {2}
    assert changed.mean() == pytest.approx(0.2, abs=0.01)
    assert after.with_shares({"v0": 0.5, "v1": 0.5}).shares == {"v0": 0.5, "v1": 0.5, "v2": 0}


def test_shares_to_and_fro_move_each_unit_at_most_twice():
    start = experiment((0.9, 0.1))
    back = start.with_shares({"v0": 0.5, "v1": 0.5}).with_shares({"v0": 0.9, "v1": 0.1})
    assert (variants_of(start, UNITS) != variants_of(back, UNITS)).mean() <= 0.2


@given(SHARES)
@settings(deadline=None)
def test_parts_are_all_shared_out_and_nearly_as_meant(counts):
    shares = shares_from(counts)
    found = parts(shares)
    assert sum(found.values()) == PARTS
    assert all(abs(found[name] - share * PARTS) <= 1 for name, share in shares.items())


def test_an_experiment_survives_json():
    before = experiment(
        (0.2, 0.8), salt="x", unit=Unit.TICKET, holdout=0.05, ramp=(Step(MAY, 0.1), Step(MAY + timedelta(1), 1.0))
    ).with_shares({"v0": 0.5, "v1": 0.3, "neu 🙂": 0.2})
    assert Experiment.from_dict(json.loads(json.dumps(before.to_dict()))) == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"name": ""}, "name is ''"),
        ({"salt": " "}, "salt is ' '"),
        ({"variants": (Variant("a", 1.0),)}, "at least two"),
        ({"variants": ()}, "at least two"),
        ({"variants": (Variant("a", 0.5), Variant("a", 0.5))}, "two variants are called 'a'"),
        ({"variants": (Variant("a", 0.5), Variant("", 0.5))}, "variant is ''"),
        ({"variants": (Variant("a", 0.5), Variant("b", 0.4))}, "sum to 0.9. Expected 1"),
        ({"variants": (Variant("a", 1.5), Variant("b", -0.5))}, "share 1.5"),
        ({"variants": (Variant("a", float("nan")), Variant("b", 0.5))}, "share nan"),
        ({"variants": (Variant("a", True), Variant("b", 0.0))}, "share True"),
        ({"holdout": 1.0}, "holdout is 1.0"),
        ({"holdout": "much"}, "holdout is 'much'"),
        ({"ramp": (Step(MAY, 2.0),)}, "ramp has the share 2.0"),
        ({"ramp": (Step(datetime(2026, 5, 1), 0.5),)}, "without a zone"),  # noqa: DTZ001 - that is the point
        ({"ramp": (Step(MAY, 0.5), Step(MAY, 0.6))}, "Expected later"),
        ({"ramp": (Step(MAY, 0.5), Step(MAY + timedelta(1), 0.4))}, "not smaller"),
        ({"segments": (Segment(PARTS, "a"),)}, "segments give other shares"),
        ({"segments": (Segment(500_000, "a"),)}, "segments give other shares"),
        ({"segments": (Segment(500_000, "a"), Segment(PARTS, "z"))}, "segments give other shares"),
    ],
)
def test_an_experiment_that_cannot_be_says_why(arguments, says):
    usual = {"name": "colder", "variants": (Variant("a", 0.5), Variant("b", 0.5))}
    with pytest.raises(UsageError, match=says) as refused:
        Experiment(**usual | arguments)
    assert refused.value.code == "bad_experiment"


@pytest.mark.parametrize(
    "change",
    [
        {"rule": 2},
        {"variants": None},
        {"variants": [{"name": "a"}]},
        {"unit": "planet"},
        {"segments": [["x", "a"]]},
        {"segments": [[1, 2, 3]]},
        {"ramp": [{"start": "soon", "share": 1}]},
        {"holdout": None},
        {"name": 7},
    ],
)
def test_json_that_is_no_experiment_is_refused(change):
    for document in (experiment().to_dict() | change, None, [], "x"):
        with pytest.raises(UsageError) as refused:
            Experiment.from_dict(document)
        assert refused.value.code == "bad_experiment"


def test_holdout_and_ramp_leave_the_split_as_it_is():
    for some in (experiment(holdout=0.5), experiment(ramp=(Step(MAY, 0.5),))):
        found = [assign(some, unit, MAY).variant for unit in UNITS[:4000]]
        counts = [found.count(name) for name in ("v0", "v1")]
        assert sum(counts) == pytest.approx(2000, abs=130)
        assert counts[0] / sum(counts) == pytest.approx(0.5, abs=0.04)


def test_a_part_belongs_to_the_segment_that_begins_with_it():
    (part,) = places(experiment(), ["customer:1"])[:, 0].tolist()
    for end, number in ((part, 1), (part + 1, 0)):
        edge = experiment((end / PARTS, 1 - end / PARTS))
        assert edge.segments[0].end == end
        assert variants_of(edge, ["customer:1"]).tolist() == [number]
        assert assign(edge, "customer:1", MAY).variant == f"v{number}"
