from __future__ import annotations

import pytest

from tagdesk.connectors import Tags
from tagdesk.errors import UsageError

LABELS = ["Billing Issue", "Zahlung & Rückgabe", "R\u200bx"]


def test_each_label_has_a_tag_that_leads_back_to_it() -> None:
    tags = Tags.of(LABELS)
    assert tags.tags_of(LABELS) == ("tagdesk_billing_issue", "tagdesk_zahlung_rückgabe", "tagdesk_r_x")
    for label, tag in zip(LABELS, tags.tags_of(LABELS), strict=True):
        assert tags.labels_of(["other", tag.upper()]) == {label}
    assert tags.labels_of(["billing_issue", "tagdesk_", "", "tagdesk_billing_issue_2"]) == frozenset()


def test_tags_stand_in_the_order_of_the_labels() -> None:
    assert Tags.of(["b", "a"], prefix="").tags_of(frozenset({"a", "b"})) == ("b", "a")


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["a b", "a-b"], {}),
        (["a", "b"], {"a": "x", "b": "X"}),
        (["a"], {"a": "two words"}),
        (["a"], {"a": "a,b"}),
        (["a"], {"a": ""}),
        (["a"], {"c": "c"}),
        (["a"], {"a": 'x"y'}),
    ],
)
def test_tags_that_could_not_be_told_apart_or_written_are_refused(labels: list[str], names: dict[str, str]) -> None:
    with pytest.raises(UsageError) as caught:
        Tags.of(labels, names=names)
    assert caught.value.code == "bad_tag"


def test_a_label_without_a_tag_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="'Zebra'"):
        Tags.of(["a"]).tags_of({"Zebra"})
