"""Cases that wait as tasks of Label Studio, and its exports as what people found."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from tagdesk.dataset.draft import draft
from tagdesk.errors import InputError, UsageError
from tagdesk.labelling.choosing import Waiting
from tagdesk.labelling.found import Found, Handed, Problem
from tagdesk.labelling.table import mark
from tagdesk.taxonomy import Label, Taxonomy

KIND = "label_studio"
CONTROL, OBJECT = "labels", "text"  # the names that the configuration gives to its two parts
MOST_BYTES = 500_000_000
_NO_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # characters that XML 1.0 cannot hold
_EARLIEST = datetime.min.replace(tzinfo=UTC)


def write_tasks(path: Path, batch: Sequence[Waiting], *, force: bool = False) -> None:
    """Write cases as tasks, the suggested labels as predictions, a document in Label Studio's JSON."""
    content = json.dumps([task(one) for one in batch], ensure_ascii=False, indent=1)
    with draft(path, force=force) as handle:
        handle.write(content.encode() + b"\n")


def task(one: Waiting) -> dict[str, Any]:
    """A case as a task; the score is the probability of the least sure label that was suggested."""
    said = one.case.prediction
    chosen = {
        "from_name": CONTROL,
        "to_name": OBJECT,
        "type": "choices",
        "value": {"choices": list(one.suggested)},
    }
    prediction = {
        "model_version": said.model,
        "score": round(min((said.scores.get(name, 0.0) for name in one.suggested), default=0.0), 4),
        "result": [chosen] if one.suggested else [],
    }
    data = {
        "text": said.text,
        "case": one.case.id,
        "reason": one.reason,
        "suggested_labels": list(one.suggested),
        "mark": mark(one.case.id, said.text, one.suggested),
    }
    return {"data": data, "predictions": [prediction]}


def configuration(taxonomy: Taxonomy) -> str:
    """The labelling configuration that fits the tasks, as XML.

    >>> print(configuration(Taxonomy.of(['Fees & "charges"'])))
    <View>
      <Style>.htx-text { white-space: pre-wrap; }</Style>
      <Text name="text" value="$text"/>
      <Choices name="labels" toName="text" choice="multiple">
        <Choice value='Fees &amp; "charges"'/>
      </Choices>
    </View>
    """
    for label in taxonomy.labels:
        if _NO_XML.search(label.name):
            raise UsageError(f"The label {label.name!r} holds a character that XML cannot.", code="bad_label")
    lines = [
        "<View>",
        "  <Style>.htx-text { white-space: pre-wrap; }</Style>",
        f'  <Text name="{OBJECT}" value="${OBJECT}"/>',
        f'  <Choices name="{CONTROL}" toName="{OBJECT}" choice="multiple">',
        *(f"    <Choice {_attributes(label)}/>" for label in taxonomy.labels),
        "  </Choices>",
        "</View>",
    ]
    return "\n".join(lines)


def write_configuration(path: Path, taxonomy: Taxonomy, *, force: bool = False) -> None:
    """Write the configuration into a file."""
    content = configuration(taxonomy)
    with draft(path, force=force) as handle:
        handle.write(content.encode() + b"\n")


def read_export(path: Path) -> Handed:
    """What people found, from an export in Label Studio's JSON; cancelled annotations are left out.

    Raises InputError for a file that is no such export; what is wrong with single tasks is told as problems.
    """
    tasks = _tasks(path)
    found: list[Found] = []
    problems: list[Problem] = []
    blank = 0
    for number, entry in enumerate(tasks, start=1):
        try:
            of_task = list(_annotations(entry, f"task {_number(entry, number)}"))
        except _TaskError as error:
            problems.append(Problem(f"task {_number(entry, number)}", error.code, str(error)))
            continue
        found += of_task
        blank += not of_task
    found.sort(key=lambda one: one.time or _EARLIEST)  # the last word of each person comes last
    return Handed(KIND, tuple(found), tuple(problems), blank)


class _TaskError(InputError):
    """What is wrong with one task."""


def _attributes(label: Label) -> str:
    written = [f"value={quoteattr(label.name)}"]
    if "$" in label.name:  # read as a variable, but not so in an alias, which is what results then carry
        written.append(f"alias={quoteattr(label.name)}")
    if hint := " ".join(_NO_XML.sub(" ", label.description).split()):
        written.append(f"hint={quoteattr(hint)}")
    return " ".join(written)


def _tasks(path: Path) -> list[Any]:
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path}: this is no plain file. Name an export of Label Studio.", code="not_a_file")
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path}: more than {MOST_BYTES:,} bytes. Export fewer tasks at once.", code="too_long")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}.", code="unreadable") from error
    try:
        document = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: is no JSON document. Export it from Label Studio as JSON.", code="bad_json"
        ) from error
    if isinstance(document, dict):
        document = [document]
    if not isinstance(document, list) or not all(isinstance(entry, dict) for entry in document):
        raise InputError(f"{path}: is no list of tasks. Export it from Label Studio as JSON.", code="bad_export")
    if document and not any("annotations" in entry for entry in document):
        raise InputError(
            f"{path}: its tasks hold no annotations. Export them from Label Studio as JSON, not as JSON-MIN.",
            code="bad_export",
        )
    return document


def _annotations(entry: dict[str, Any], where: str) -> Iterator[Found]:
    annotations = entry.get("annotations") or []
    if not isinstance(annotations, list):
        raise _TaskError("Its annotations are no list.", code="bad_export")
    done = [each for each in annotations if not (isinstance(each, dict) and each.get("was_cancelled"))]
    if not done:
        return
    data = entry.get("data")
    case = data.get("case") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(case, str) or not case:
        raise _TaskError("It names no case; expected a task that `tagdesk queue --out` wrote.", code="unknown_case")
    for annotation in done:
        if not isinstance(annotation, dict):
            raise _TaskError("An annotation is no object.", code="bad_export")
        yield Found(
            where,
            case,
            _chosen(annotation.get("result")),
            reviewer=_person(annotation.get("completed_by")),
            time=_time(annotation.get("updated_at") or annotation.get("created_at")),
            text=_text(data.get("text")),
            suggested=_names(data.get("suggested_labels")),
            mark=_text(data.get("mark")),
        )


def _chosen(result: object) -> frozenset[str]:
    """The choices of an annotation; none where somebody handed it in without any."""
    entries = result if isinstance(result, list) else [] if result is None else [None]
    chosen: set[str] = set()
    for entry in entries:
        if not isinstance(entry, dict):
            raise _TaskError("A result is no object.", code="bad_export")
        if entry.get("type") != "choices":
            continue
        if entry.get("from_name") != CONTROL:
            raise _TaskError(
                f"Its choices do not come from {CONTROL!r}. Use the configuration that `tagdesk queue "
                "--label-studio-config` writes.",
                code="bad_export",
            )
        value = entry.get("value")
        names = value.get("choices") if isinstance(value, dict) else None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise _TaskError("Its choices are no list of texts.", code="bad_labels")
        chosen.update(names)
    return frozenset(chosen)


def _person(value: object) -> str | None:
    """Who made an annotation: their address, or the number that Label Studio knows them by."""
    if isinstance(value, dict):
        for key in ("email", "username", "id"):
            name = value.get(key)
            if isinstance(name, str | int) and (found := _person(name)):
                return found
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return f"label-studio-{value}"
    return value.strip() or None if isinstance(value, str) else None


def _time(value: object) -> datetime | None:
    if value is None:
        return None
    try:
        read = datetime.fromisoformat(str(value))
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _TaskError("The time of an annotation cannot be read.", code="bad_time") from None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _names(value: object) -> frozenset[str]:
    return frozenset(name for name in value if isinstance(name, str)) if isinstance(value, list) else frozenset()


def _number(entry: dict[str, Any], place: int) -> int:
    """The task's own number, else its place in the file."""
    own = entry.get("id")
    return own if isinstance(own, int) and not isinstance(own, bool) else place
