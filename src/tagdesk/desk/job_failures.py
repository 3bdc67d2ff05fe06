"""Why a job failed, in words that hold nothing of its file."""

from __future__ import annotations

_SENTENCES = {
    "empty": "The file is empty. Export it again.",
    "missing_column": "The file has no column of the name that `text` gives; without it, none that is named text, "
    "subject or body. Say with `text` which column holds the text.",
    "blank_column": "A column of the file has no name. Name it, or delete it.",
    "duplicate_column": "Two columns of the file have one name, or one has a name that the result needs. Rename it.",
    "ambiguous_column": "Several columns of the file could be the one that is asked for. Rename all but one.",
    "too_many_columns": "The file has more columns than are read. Leave some out.",
    "mixed_types": "A column of the file holds values of several kinds. Give it one.",
    "bad_encoding": "The file is not in the encoding that is expected: UTF-8, or what `encoding` names.",
    "unknown_encoding": "The encoding that `encoding` names is unknown. Try utf-8, cp1252 or utf-16.",
    "bad_delimiter": "The delimiter must be one character.",
    "other_delimiter": "The columns of the file are parted by another character. Name it with `delimiter`.",
    "bad_quotes": "The quotation marks of the file do not match. Export it again.",
    "row_too_long": "A row of the file is too long. Look for a quotation mark that is never closed.",
    "not_parquet": "The file is no Parquet file, or it is cut off or damaged. Send it again.",
    "damaged": "The file is cut off or damaged. Send it again.",
    "disk_full": "There is no room on the service's disk for the result. Send the file again once there is.",
    "no_model": "The model that answered when the file came is gone. Send the file again.",
    "policy_changed": "The model that answered when the file came has another policy by now. Send the file again.",
    "worker_died": "The process that worked on it was ended again and again, perhaps because the memory was full. "
    "Send the file in smaller parts.",
    "internal": "Something failed here; the log knows more under the job's id.",
}
_OTHER_KIND = "The file is of another kind than its Content-Type says."


def told(code: str) -> str:
    """A failure as a job keeps it: the code, then what a person should know.

    >>> told("empty")
    'empty: The file is empty. Export it again.'
    >>> told("not_csv")
    'not_csv: The file is of another kind than its Content-Type says.'
    """
    other = _OTHER_KIND if code.startswith("not_") else "The file cannot be labelled."
    return f"{code}: {_SENTENCES.get(code, other)}"
