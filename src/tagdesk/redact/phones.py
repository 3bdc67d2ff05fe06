"""Finds phone numbers, by their form or by the words near them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tagdesk.redact.edges import NO_DIGIT
from tagdesk.redact.spans import Span

# What is surely no phone number is blanked first: dates, times, ranges of them, amounts.
_DAY = r"(?:(?<=[0-3])[0-9])?"  # or a month or an hour; its first digit stands before
_NO_PHONE = re.compile(
    r"[0-9](?<![0-9].)(?<![0-9][.,:/-].)(?:"
    r"(?:(?<=1)9|(?<=2)0)[0-9]{2}([-./])[01]?[0-9]\1[0-3]?[0-9](?:T[0-9:.]{4,15})?"
    rf"|{_DAY}(?:([-./])[0-3]?[0-9]\2|[ ][01]?[0-9][ ](?=19|20)|/(?=19|20))(?:(?:19|20)[0-9]{{2}}|[0-9]{{2}})"
    rf"|{_DAY}[.:][0-5][0-9][ ]?-[ ]?[0-2]?[0-9][.:][0-5][0-9]|{_DAY}:[0-5][0-9](?::[0-5][0-9])?"
    r"|[0-9]{0,2}(?:[ .,'][0-9]{3}){0,4}[.,][0-9]{2})(?![0-9]|[.,/:-][0-9])"
)
_MARK = "\x01"  # stands for what was redacted before, in the view that numbers are read in
_RUN = re.compile(rf"[(+0-9{_MARK}][0-9(){_MARK} +\t./\u200b-]*+")
_RUN_TAIL = " \t.(+/\u200b-"
_FIRST_GROUP = re.compile(r"[(+]{0,3}([0-9]+)\)?")
_NEXT_GROUP = re.compile(r"[ \t./\u200b-]{0,3}\(?([0-9]+)\)?")
_START = re.compile(
    r"(?P<plus>\(?\+\(?[1-9])"
    r"|(?P<bracket>\((?!(?:19|20)[0-9]{2}\))[0-9]{2,5}\)[ ./-]{0,3}[0-9])"
    r"|\(?(?:(?P<zeros>00[ ]?[1-9][0-9]{0,3}[ ./()-]{1,3}[0-9]|00[1-9][0-9]{9,13}(?![0-9]))"
    r"|(?P<trunk>0[1-9][0-9]{0,4}[)]?[ \t./\u200b-]{1,3}[0-9])"
    r"|(?P<american>(?:1[ .-])?[2-9][0-9]{2}[ .-]{1,2}[0-9]{3}[ .-][0-9]{4}(?![0-9])))"
)
_BOUNDS = {"plus": (8, 15), "zeros": (10, 17), "bracket": (8, 13), "trunk": (9, 12), "american": (10, 11)}
_PLAIN_BOUNDS = (8, 15)
_RUN_AT_MOST = 40
_OTHER_NUMBER = re.compile(
    r"\s[-./]\s|\s{2}|\s?/|[ \t./-]{0,3}(?:\(|0[1-9][0-9]{1,3}[ ./-]{1,3}[0-9]{4})"
)  # after one that is long enough
_RESTART = re.compile(
    rf"(?<={_MARK})(?!{_MARK})[ \t./\u200b-]*|\s[-./]\s+|\s{{2,}}|\s?/\s?|(?=[(+])"
    r"|[ \t](?=0[1-9][0-9]{2,3}[ /-][0-9]{5})"
)
_GLUED_GROUP = re.compile(r"[0-9]+\)?[ \t]+|")
_BLANKS = re.compile(r"[ \t./\u200b-]*")
_BRACKET = re.compile(r"[()]")
_PAIRS = re.compile(r"0[1-9](?:[ .-][0-9]{2}){5,}(?![0-9])")  # six pairs are no French number, but a list
_EXTENSION = re.compile(r"[ ,]{0,2}(?:ext(?:ension)?\.?|x|durchwahl|dw)[ :.]{0,2}[0-9]{1,6}(?![0-9])", re.IGNORECASE)
_GLUED = re.compile(r"(?:[^\W\d]|[^\W\d][-_/]|[#$\u20ac\u00a3*\u2116]|[0-9][,:])\Z")
_UNIT_AFTER = re.compile(
    r"-?\w|[ ]?(?:[$%\u20ac\u00a3]|(?:eur|usd|gbp|chf|km|kg|pcs|items|units|points)\b)", re.IGNORECASE
)
_WINDOW = 40  # characters before a number in which a word may say what it is
_CUE = re.compile(
    r"(?<!\w)(?:(?P<yes>(?:tele)?phones?|telefon\w*|tel|t\u00e9l\w*|tel\u00e9fono|mobiles?|mobil\w*|m\u00f3vil|mob|cell"
    r"(?:ular|phone)?|handy\w*|whats ?app|wa\.me|viber|sms|fax|call(?:s|ed|ing|back)?|ring|dial|text me|reach (?:me|us)"
    r"|(?:contact|my|our|work|home|office|emergency|hotline|landline)(?: me| us)?(?: (?:numbers?|no\.?|nr\.?|at|on))"
    r"|hotline|landline|r\u00fcckruf\w*|rufnummer\w*|anruf\w*|appel\w*|ll\u00e1m\w*|celular|telefone|bel)"
    r"(?:[ _-]?(?:numbers?|no\.?|nr\.?|nummer|#))?"
    r"|(?:the|a|this|that|new|old|right|wrong|following) number"
    r"|(?P<no>orders?|invoices?|inv|refs?|references?|tickets?|tracking|parcels?|shipments?|sku|serial|imei|isbn|ean|upc"
    r"|gtin|asin|ids?|codes?|rma|po|vat|iban|account|customer|member(?:ship)?|contract|booking|reservation|transaction"
    r"|txn|receipt|voucher|models?|part|product|version|lot|batch|articles?|items?"
    r"|bestell\w*|auftrag\w*|rechnung\w*|sendung\w*|kunden\w*|vertrag\w*|artikel\w*|konto\w*"
    r"|\w*nummer|commande|facture|colis|pedido|factura|[a-z]+ (?:number|id|#)"
    r")(?:[ -]?(?:numbers?|no\.?|nr\.?|ids?|codes?|#))?|(?P<mark>\x01))(?![^\W\d_])",
    re.IGNORECASE,
)
_LEADING = re.compile(r"[\s:#=(-]*(?:(?:is|was|are|ist|war)[\s:#=(-]*)?")  # between "order" and its number
_OTHER_SUBJECT = re.compile(r"[.!?;]\s+[^\W\d]|(?<![0-9])[0-9]{1,3}\s[a-z]")  # "I called 3 times. Where is 47112290?"
_CUE_AFTER = re.compile(
    r"[\s,(-]{1,3}(?:is )?(?:my |our )?(?:phone|mobile|cell|whatsapp|handy|mobil|tel)\b", re.IGNORECASE
)


def find_phones(text: str) -> Iterator[Span]:
    """Phone numbers of 8 to 15 digits: by their form, or by a word such as "call" near them.

    A number that was recognised once is also found where nothing tells that it is one.

    >>> list(find_phones("order 47112290, call 0301234567"))
    [(21, 31, 'PHONE')]
    """
    view = _NO_PHONE.sub(lambda match: "_" * len(match[0]), text).replace("[PHONE]", _MARK * len("[PHONE]"))
    known, others, place = set(), [], 0
    while run := _RUN.search(view, place):
        start, end, place = run.start(), run.start() + len(run[0].rstrip(_RUN_TAIL)), run.end()
        spans = list(_phones_in_run(view, start, end)) if end - start >= _PLAIN_BOUNDS[0] else []
        for first, last in spans:
            known.add(NO_DIGIT.sub("", view[first:last]))
            extension = _EXTENSION.match(view, last)
            place = max(place, extension.end() if extension else last)
            yield first, extension.end() if extension else last, "PHONE"
        if not spans:
            others.append((start, end))
    for start, end in others if known else ():
        if NO_DIGIT.sub("", view[start:end]) in known:
            yield *_without_brackets(view, start, end), "PHONE"


def _phones_in_run(view: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The phone numbers in a run of groups of digits, from left to right."""
    cue = _cue_before(view, start)
    name = cue.lastgroup if cue else None
    is_phone = cue is not None and name == "yes" and not _OTHER_SUBJECT.search(view, cue.end(), start)
    is_other = cue is not None and name == "no" and _LEADING.fullmatch(view, cue.end(), start) is not None
    is_free = view[start] == "+" or (is_phone and cue is not None and cue.end() + 1 >= start)  # Tel0301234567
    is_glued = not is_free and _GLUED.search(view, max(0, start - 2), start) is not None
    if not is_glued and (is_phone or _CUE_AFTER.match(view, end)):
        is_short = end - start <= _RUN_AT_MOST and not _UNIT_AFTER.match(view, end)
        if is_short and _extent(view, start, _PLAIN_BOUNDS) == end:
            yield _without_brackets(view, start, end)
            return
    skipped = _GLUED_GROUP.match(view, start) if is_glued else None
    place = skipped.end() if skipped else start
    while place < end:
        reached = None if skipped and place == start else _reached(view, place, is_other=is_other)
        if reached:
            yield _without_brackets(view, place, reached)
            blanks = _BLANKS.match(view, reached)
            place = blanks.end() if blanks else reached
        else:
            restart = _RESTART.search(view, place + 1, end)
            place = restart.end() if restart else end
        is_other = False


def _reached(view: str, place: int, *, is_other: bool) -> int | None:
    """The end of the phone number that begins here by its form, if one does."""
    start = _START.match(view, place)
    if not start or (is_other and start["plus"] is None) or _PAIRS.match(view, place):
        return None
    return _extent(view, place, _BOUNDS[start.lastgroup or ""])


def _extent(view: str, place: int, bounds: tuple[int, int]) -> int | None:
    """The end of the number that begins here, if it has as many digits as such a number has."""
    least, most = bounds
    total, end, group = 0, place, _FIRST_GROUP.match(view, place)
    while group and total + len(group[1]) <= most and not (total >= least and _OTHER_NUMBER.match(view, end)):
        total, end = total + len(group[1]), group.end()
        group = _NEXT_GROUP.match(view, end)
    return end if least <= total <= most else None


def _cue_before(view: str, place: int) -> re.Match[str] | None:
    since = max(0, place - _WINDOW)
    cues = list(_CUE.finditer(view, max(since, view.rfind("\n\n", since, place)), place))
    return cues[-1] if cues else None


def _without_brackets(view: str, start: int, end: int) -> tuple[int, int]:
    """The span without brackets that stand around all of it."""
    bracket = _BRACKET.search(view, start + 1, end)
    if view[start] == "(" and (bracket is None or bracket[0] == "(" or bracket.end() == end):
        start += 1
    if view[end - 1] == ")" and view.count("(", start, end) < view.count(")", start, end):
        end -= 1
    return start, end
