from __future__ import annotations

import tomllib
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagdesk.errors import InputError
from tagdesk.taxonomy import MAX_NAME, Label, Taxonomy

DEFAULT = (
    *("Billing Issue", "Technical Problem", "Account Access", "Product Inquiry"),
    *("Refund Request", "Shipping Concern", "Service Complaint"),
)

ANY_TEXT = st.text()  # every Unicode character but halves of one
NAMES = st.text(min_size=1, max_size=MAX_NAME).filter(
    lambda name: name == name.strip() and "|" not in name and min(name) >= " "
)
LABELS = st.builds(
    Label,
    name=NAMES,
    description=ANY_TEXT,
    examples=st.lists(ANY_TEXT, max_size=3).map(tuple),
    gives=ANY_TEXT,
    not_for=ANY_TEXT,
)
TAXONOMIES = st.builds(
    Taxonomy,
    labels=st.lists(LABELS, min_size=1, max_size=5, unique_by=lambda label: label.name).map(tuple),
    rules=st.lists(ANY_TEXT, max_size=3).map(tuple),
)


def refusal(toml: str) -> str:
    with pytest.raises(InputError) as caught:
        Taxonomy.from_toml(toml)
    assert caught.value.code == "bad_taxonomy"
    return str(caught.value)


@settings(deadline=None)
@given(TAXONOMIES)
def test_a_taxonomy_survives_its_file(taxonomy):
    assert Taxonomy.from_toml(taxonomy.to_toml()) == taxonomy


@settings(deadline=None)
@given(TAXONOMIES)
def test_the_written_file_holds_bytes_that_any_toml_reader_takes(taxonomy):
    document = tomllib.loads(taxonomy.to_toml().encode().decode())
    assert [entry["name"] for entry in document["label"]] == list(taxonomy.names)


@pytest.mark.parametrize(
    "odd",
    [
        "\x7f",
        "\x00",
        "\\",
        '"',
        '"""',
        "'''",
        "\r\n",
        "\t",
        "\x85\u2028",
        "#",
        "[[label]]",
        "=",
        "\\u0041",
        "\U0001f600",
    ],
)
def test_odd_characters_survive_the_file(odd):
    taxonomy = Taxonomy((Label("Billing", odd, (odd, ""), odd, odd),), (odd,))
    assert Taxonomy.from_toml(taxonomy.to_toml()) == taxonomy


@settings(deadline=None)
@given(st.lists(NAMES, min_size=1, max_size=6, unique=True), st.data())
def test_label_sets_survive_encoding(names, data):
    taxonomy = Taxonomy.of(names)
    label_sets = data.draw(st.lists(st.frozensets(st.sampled_from(names)), max_size=8))
    targets = taxonomy.encode(label_sets)
    assert targets.shape == (len(label_sets), len(names))
    assert targets.dtype == np.bool_
    assert taxonomy.decode(targets) == label_sets


def test_columns_follow_the_order_of_the_names():
    taxonomy = Taxonomy.of(["b", "a", "c"])
    assert taxonomy.encode([["a"], ["c", "b"], []]).tolist() == [[0, 1, 0], [1, 0, 1], [0, 0, 0]]
    assert len(taxonomy) == 3


def test_no_tickets_make_no_rows():
    taxonomy = Taxonomy.of(["a", "b"])
    assert taxonomy.encode([]).shape == (0, 2)
    assert taxonomy.decode(taxonomy.encode([])) == []


def test_unknown_labels_are_named_together_with_the_known_ones():
    taxonomy = Taxonomy.of(["Billing", "Access"])
    with pytest.raises(InputError, match=r"'Biling', 'Refund'.*'Access', 'Billing'") as caught:
        taxonomy.encode([["Billing", "Refund"], ["Biling"], ["Refund"]])
    assert caught.value.code == "unknown_label"
    assert taxonomy.unknown(["Refund", "Billing", "Biling"]) == ["Biling", "Refund"]


def test_a_flood_of_unknown_labels_is_counted_not_listed():
    with pytest.raises(InputError, match="and 988 more") as caught:
        Taxonomy.of(["a"]).encode([[f"label {number}" for number in range(1_000)]])
    assert len(str(caught.value)) < 1_000


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ([], "no labels"),
        ([""], "blank"),
        ([" Billing"], "blank"),
        (["Billing\u00a0"], "blank"),
        (["a", "b", "a"], "'a' stands in it twice"),
        (["a|b"], "separate"),
        (["a\nb"], "separate"),
        (["a\0b"], "separate"),
        (["x" * (MAX_NAME + 1)], "201 characters"),
        (["a\ud800"], "half a character"),
    ],
)
def test_names_that_would_break_files_are_refused(names, says):
    with pytest.raises(InputError, match=says) as caught:
        Taxonomy.of(names)
    assert caught.value.code == "bad_taxonomy"
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    "name", ["a/b", "a=b", "a,b", "[CLS]", "x" * MAX_NAME, "\U0001f4b8", "null", "['a']", "Rückgabe"]
)
def test_names_that_only_look_odd_are_allowed(name):
    assert Taxonomy.from_toml(Taxonomy.of([name]).to_toml()).names == (name,)


def test_ten_thousand_names_are_checked_at_once():
    assert len(Taxonomy.of(f"label {number}" for number in range(10_000))) == 10_000


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("", r"no \[\[label\]\]"),
        ("label = []", "no labels"),
        ("label = [1]", r"no \[\[label\]\]"),
        ("[label]\nname = 'a'", r"no \[\[label\]\]"),
        ("[[label]]", "blank"),
        ("[[label]]\nname = 3", "are strings"),
        ("[[label]]\nname = 'a'\ndescription = ['x']", "are strings"),
        ("[[label]]\nname = 'a'\nexamples = 'x'", "list of strings"),
        ("[[label]]\nname = 'a'\nexamples = [1]", "list of strings"),
        ("[[label]]\nname = 'a'\nexample = ['x']", "'example'"),
        ("rules = 'x'\n[[label]]\nname = 'a'", "list of strings"),
        ("rule = ['x']\n[[label]]\nname = 'a'", "'rule'"),
        ("[[label]]\nname = 'a'\n[[label]]\nname = 'a'", "twice"),
        ("[[label]]\nname = 'a'\nname = 'b'", "not valid TOML"),
        ("[[label]]\nname = 'a", "not valid TOML"),
        ("\x00\x01", "not valid TOML"),
        ("{'a': 1}", "not valid TOML"),
        ("a = " + "[" * 20_000, "not valid TOML"),
        ("a = " + "9" * 5_000, "not valid TOML"),
    ],
)
def test_m7_broken_files_are_refused_with_what_is_wrong(toml, says):
    with pytest.raises(InputError, match=says):
        Taxonomy.from_toml(toml)
    assert len(refusal(toml)) < 300


def test_the_fingerprint_knows_names_and_their_order_but_not_their_descriptions():
    fingerprint = Taxonomy.of(["a", "b"]).fingerprint
    assert fingerprint == Taxonomy((Label("a", "described"), Label("b"))).fingerprint
    assert fingerprint != Taxonomy.of(["b", "a"]).fingerprint
    assert fingerprint != Taxonomy.of(["a", "b", "c"]).fingerprint
    assert fingerprint != Taxonomy.of(['a", "b']).fingerprint
    assert Taxonomy.of(["Rückgabe", "\U0001f4b8"]).fingerprint == Taxonomy.of(["Rückgabe", "\U0001f4b8"]).fingerprint


def test_the_support_taxonomy_explains_each_of_its_seven_categories():
    taxonomy = Taxonomy.from_toml(files("tagdesk").joinpath("taxonomies/support.toml").read_text(encoding="utf-8"))
    assert taxonomy.names == DEFAULT
    assert len(taxonomy.rules) >= 7
    for label in taxonomy.labels:
        assert label.description
        assert label.gives
        assert label.not_for
        assert 6 <= len(label.examples) <= 8
    examples = [example for label in taxonomy.labels for example in label.examples]
    assert len(set(examples)) == len(examples)
    assert Taxonomy.from_toml(taxonomy.to_toml()) == taxonomy
