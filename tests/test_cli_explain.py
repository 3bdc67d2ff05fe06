"""What explanations look like on a terminal, and as JSON."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tagdesk.cli import explaining, screen
from tagdesk.errors import UsageError
from tagdesk.explain import Contribution, Explanation, Reason
from tagdesk.explaining.nearest import Neighbour
from tagdesk.model import Model
from tagdesk.prediction import Decision, Prediction
from tagdesk.ticket import Ticket

TEXT = "I was charged twice, please refund one"


def printed(call: Callable[[], None]) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        call()
    return out.getvalue()


def explanation(text: str, *weights: tuple[str, float], label: str = "Billing", score: float = 0.9) -> Explanation:
    """Weights of words, each at the first place at which it stands."""
    words = tuple(
        Contribution(text.index(word), text.index(word) + len(word), word, weight) for word, weight in weights
    )
    return Explanation(text, (Reason(label, score, words),), "occlusion")


def prediction(text: str, *labels: str, **more: Any) -> Prediction:
    return Prediction(
        text, labels, {"Billing": 0.9, "Refund": 0.4}, dict.fromkeys(labels, Decision.SUGGEST), "m", "p", **more
    )


def shown(said: Explanation, *, like: list[Neighbour] | None = None) -> str:
    likes = None if like is None else [like]
    return printed(lambda: explaining.print_explanations([prediction(said.text, "Billing")], [said], likes))


def test_the_strongest_words_are_marked_and_named_with_their_weights_those_against_apart() -> None:
    said = explanation(TEXT, ("charged", 1.94), ("twice", 1.2), ("please", 0.3), ("refund", -0.8), ("one", -0.04))
    assert shown(said).splitlines() == [
        "I was [charged] [twice], please refund one",
        "Billing 90%",
        "  because of: charged (+1.9), twice (+1.2), please (+0.3); against: refund (-0.8)",
    ]


def test_brackets_give_way_to_bold_type_where_the_terminal_has_it() -> None:
    said = explanation(TEXT, ("refund", 2.0))
    out = io.StringIO()
    Console(file=out, force_terminal=True, color_system="standard").print(explaining.marked(said, is_plain=False))
    assert "please \x1b[1;32mrefund\x1b[0m one" in out.getvalue()
    assert "[" not in explaining.marked(said, is_plain=False).plain


def test_a_label_that_no_word_decides_says_so_and_marks_nothing() -> None:
    said = explanation(TEXT, ("refund", 0.1), ("one", -0.1))
    assert shown(said).splitlines() == [TEXT, "Billing 90%", "  no single word decides"]


def test_a_label_with_words_against_it_alone() -> None:
    assert shown(explanation(TEXT, ("refund", -2.0))).splitlines()[2] == "  against: refund (-2.0)"


def test_nothing_in_a_ticket_or_a_label_acts_on_the_terminal() -> None:
    text = "pay \x1b[2J\u202enow\u202c\nor\telse [bold red]x[/] \u2028end"
    said = explanation(text, ("now", 2.0), ("\x1b[2J", 1.0), label="A\x1b]0;x\x07B", score=0.5)
    out = shown(said)
    assert not set("\x1b\u202e\u202c\t\u2028\x07") & set(out)
    assert r"pay [\x1b[2J]\u202e[now]\u202c or else [bold red]x[/] end" in out
    assert r"A\x1b]0;x\x07B 50%" in out


def test_of_a_long_ticket_what_stands_around_the_marked_words_is_shown() -> None:
    text = "word " * 300 + "refund " + "word " * 300
    line = explaining.marked(explanation(text, ("refund", 2.0)), is_plain=True).plain
    assert line.startswith("… ")
    assert line.endswith(" …")
    assert "[refund]" in line
    assert len(line) < 200
    beginning = shown(explanation(text)).replace("\n", "")
    assert beginning.startswith("word word")
    assert " …" in beginning
    assert "refund" not in beginning


def test_a_ticket_without_labels_says_so_before_the_reasons() -> None:
    said = explanation(TEXT, ("refund", 2.0), label="none of these", score=0.8)
    refused = prediction(TEXT, flags=("out_of_scope",), out_of_scope=0.8)
    lines = printed(lambda: explaining.print_explanations([refused], [said])).splitlines()
    assert lines[1].startswith("out of scope 80%")
    assert lines[2] == "none of these 80%"


def test_a_coarse_explanation_says_so() -> None:
    said = Explanation(TEXT, (Reason("Billing", 0.9, (Contribution(2, 19, TEXT[2:19], 2.0),)),), "occlusion", True, 8)
    out = shown(said)
    assert "I [was charged twice], please" in out
    assert "A long ticket" in out


def test_the_nearest_tickets_stand_below() -> None:
    like = [Neighbour(Ticket("1", "charged\x07 twice", frozenset({"Refund", "Billing"})), 0.91, 3)]
    like.append(Neighbour(Ticket("2", "hi", frozenset()), 0.5))
    lines = shown(explanation(TEXT), like=like).splitlines()
    assert lines[-2:] == ["  like (0.91, 3 times; Billing, Refund): charged twice", "  like (0.50; no label): hi"]


def test_several_tickets_are_parted_by_a_blank_line_and_none_prints_nothing() -> None:
    said = explanation(TEXT, ("refund", 2.0))
    two = printed(lambda: explaining.print_explanations([prediction(TEXT, "Billing")] * 2, [said] * 2))
    assert two.count("\n\n") == 1
    assert printed(lambda: explaining.print_explanations([], [])) == ""
    assert json.loads(printed(lambda: explaining.print_explanations([], [], as_json=True))) == []
    with pytest.raises(ValueError, match="zip"):
        explaining.print_explanations([prediction(TEXT)], [])


def test_json_holds_the_prediction_with_offsets_and_the_nearest_tickets(
    models: dict[str, Model], tmp_path: Path
) -> None:
    file = tmp_path / "tickets.csv"
    file.write_text("id,text,labels\n1,my card was charged,Billing Issue\n2,the parcel is late,Shipping Concern\n")
    model = models["probe"]
    predictions = model.predict(["my card was charged twice", "🙂 parcel lost"])
    both = json.loads(printed(lambda: explaining.explain_predictions(model, predictions, like=file, as_json=True)))
    assert [one["text"] for one in both] == [one.text for one in predictions]
    assert {"labels", "scores", "model", "explanation", "nearest"} <= set(both[0])
    assert [one["nearest"][0]["id"] for one in both] == ["1", "2"]
    for one in both:
        for label in one["explanation"]["labels"]:
            assert all(one["text"][word["start"] : word["end"]] == word["text"] for word in label["words"])
    alone = json.loads(printed(lambda: explaining.explain_predictions(model, predictions, as_json=True)))
    assert "nearest" not in alone[0]
    assert alone[0]["explanation"] == both[0]["explanation"]


def test_a_bound_on_the_tickets_that_are_compared_is_told(
    models: dict[str, Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tickets.jsonl"
    rows = [{"text": f"parcel number {place * place}", "labels": ["Shipping Concern"]} for place in range(9)]
    file.write_text("\n".join(map(json.dumps, rows)))
    notes: list[str] = []
    monkeypatch.setattr(screen, "note", notes.append)
    model = models["linear"]
    predictions = model.predict(["parcel"])
    explained = json.loads(
        printed(lambda: explaining.explain_predictions(model, predictions, like=file, most_like=2, as_json=True))
    )
    assert len(explained[0]["nearest"]) == 2
    assert notes == [f"{file} holds 9 tickets; a random 2 are compared."]


def test_more_tickets_than_anybody_waits_for_are_refused(models: dict[str, Model]) -> None:
    with pytest.raises(UsageError, match="at most 1,000"):
        explaining.explain_predictions(models["probe"], [prediction(TEXT)] * 1001)
