from __future__ import annotations

import base64
import sys
import time
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from naughty_strings import NAUGHTY_STRINGS
from tagdesk.connectors.hygiene import FLAGS, newest
from tagdesk.errors import InputError, MissingExtra
from tagdesk.text import MAX_CHARACTERS, clean

SLOW = 0.5  # seconds of the processor; ten times what is wanted, because the machines that run tests are busy

NEW = "Where is my parcel? It should have come last week."
OLD = "> Hello Bob,\n>\n> your parcel left today.\n>\n> Ada"


def told(text: str, *, is_html: bool = False) -> str:
    return newest(text, is_html=is_html).text


@pytest.mark.parametrize(
    "intro",
    [
        "On Mon, May 3, 2026 at 10:00 AM Ada Lovelace <ada@example.com> wrote:",
        "On Mon, May 3, 2026 at 10:00 AM Ada Lovelace\n<ada@example.com> wrote:",
        "On 03.05.2026 10:00,\nAda Lovelace via Example Support\n<ada@example.com> wrote:",
        "Am 03.05.2026 um 10:00 schrieb Ada Lovelace <ada@example.com>:",
        "Am Mo., 3. Mai 2026 um 10:00 Uhr schrieb Ada Lovelace <\nada@example.com>:",
        "Le lun. 3 mai 2026 à 10:00, Ada <ada@example.com> a écrit\u00a0:",
        "El lun, 3 may 2026 a las 10:00, Ada (<ada@example.com>) escribió:",
        "Op ma 3 mei 2026 om 10:00 schreef Ada <ada@example.com>:",
        "W dniu 3.05.2026 o 10:00, Ada napisał:",
        "Ada Lovelace <ada@example.com> wrote:",
    ],
)
@pytest.mark.parametrize("old", [OLD, OLD.replace("> ", "").replace(">", "")], ids=["marked", "bare"])
def test_a_reply_above_an_older_message_is_told_alone(intro: str, old: str) -> None:
    found = newest(f"{NEW}\n\n{intro}\n\n{old}")
    assert (found.text, found.flags) == (NEW, ("quotes_removed",))


@pytest.mark.parametrize(
    "divider",
    [
        "-----Original Message-----",
        "---------- Forwarded message ---------",
        "-------- Ursprüngliche Nachricht --------",
        "Begin forwarded message:",
        "##- Please type your reply above this line -##",
        "________________________________\nFrom: Ada <ada@example.com>\nSent: Monday\nTo: Bob\nSubject: Parcel",
        "*From:* Ada\n*Sent:* Monday\n*To:* Bob\n*Subject:* Parcel",
        "Von: Ada <ada@example.com>\nGesendet: Montag\nAn: Bob\nBetreff: Paket",
        "De : Ada <ada@example.com>\nEnvoyé : lundi\nÀ : Bob\nObjet : Colis",
    ],
)
def test_all_below_a_divider_is_older(divider: str) -> None:
    assert told(f"{NEW}\n\n{divider}\n\nHello Bob,\nyour parcel left today.") == NEW


def test_answers_between_quoted_lines_are_all_told() -> None:
    thread = "On 3 May 2026, Ada wrote:\n> Which order is it?\nOrder 7, please.\n> And which size?\nSize 42 it is."
    assert told(thread) == "Order 7, please.\nSize 42 it is."


@pytest.mark.parametrize(
    "text",
    [
        "On 3 May 2026 my husband wrote a complaint about order 7, as follows:\nhe wants his money back",
        "On 3 May I wrote:\nplease cancel my plan",
        "From: Berlin\nTo: Paris\nDate: 3 May\nmy parcel is late",
        "I want to see the original message\nthat you sent me",
        "Order form\n-----\nplease send it to my new address",
        "The price went from 5 to 7\n>:( why?",
        "5 > 4 and 3 < 4",
        "I need\n- a refund\n- an invoice\n\nThanks,\nand cancel my plan as well",
        "Thanks\nwhere is my parcel",
        "Thanks\nREFUND NOW",
        "Best regards to your team, but my parcel is late",
        "This message is intended for billing: I was charged twice.",
        "Disclaimer about refunds on your site is wrong",
        "Warning: my account was hacked",
    ],
)
def test_what_a_customer_says_is_not_taken_for_furniture(text: str) -> None:
    assert newest(text) == (newest(text).__class__(text))


SIGNATURES = [
    "Best regards,\nBob Smith",
    "Kind regards\n\nBob Smith\nHead of Sales\nACME GmbH\nT: +49 30 1234567\nwww.example.com",
    "Mit freundlichen Grüßen\nBob Schmidt",
    "-- \nBob Smith\nACME GmbH, 1 High Street\nbob@example.com",
    "Sent from my iPhone",
    "Thanks!\nBob\n\nGet Outlook for iOS<https://example.com>",
]


@pytest.mark.parametrize("signature", SIGNATURES)
def test_a_signature_is_left_out(signature: str) -> None:
    found = newest(f"{NEW}\n\n{signature}\n\nOn 3 May 2026, Ada wrote:\n{OLD}")
    assert (found.text, found.flags) == (NEW, ("quotes_removed", "signature_removed"))


@pytest.mark.parametrize(
    "disclaimer",
    [
        "This e-mail and any attachments are confidential and intended solely for the addressee.",
        "If you are not the intended recipient,\nplease delete this mail.",
        "CONFIDENTIALITY NOTICE: all of it is secret.",
        "[CAUTION: This email originated from outside of the organization.]",
        "Please consider the environment before printing this e-mail.",
        "Virus-free. www.avast.com",
        "Diese E-Mail enthält vertrauliche Informationen.",
        "Ce message est confidentiel.",
    ],
)
def test_a_disclaimer_is_left_out_above_and_below(disclaimer: str) -> None:
    for text in (f"{NEW}\n\n{disclaimer}", f"{disclaimer}\n\n{NEW}", f"{NEW}\n\nRegards,\nBob\n\n{disclaimer}"):
        found = newest(text)
        assert found.text == NEW
        assert "disclaimer_removed" in found.flags


def test_a_short_answer_keeps_the_first_quoted_paragraph_that_says_something() -> None:
    found = newest("Yes, please do.\n\nOn 3 May 2026, Ada wrote:\n> Hi Bob,\n>\n> Shall we refund\n> it?\n>\n> Ada")
    assert found.text == "Yes, please do.\n> Shall we refund\n> it?"
    assert found.flags == ("quotes_removed", "quote_kept")
    assert clean(found.text).text == "Yes, please do. Shall we refund it?"


def test_an_answer_of_four_words_stands_alone() -> None:
    assert told("Yes, please do it.\n> Shall we refund it?") == "Yes, please do it."
    assert told("Yes, please do. > Shall we refund?") == "Yes, please do. > Shall we refund?"  # one line stays whole
    assert told("\u8bf7\u9000\u6b3e\u7ed9\u6211\n> Shall we refund it?") == "\u8bf7\u9000\u6b3e\u7ed9\u6211"


def test_a_kept_quote_is_short() -> None:
    assert len(told("Yes.\n> " + "word " * 5_000)) < 1_100
    assert told("Yes.\n> one paragraph\n>\n> another one") == "Yes.\n> one paragraph"


@pytest.mark.parametrize(
    "text", ["> all of it\n> is quoted", "\U0001f44d\n> Shall we refund?", "Best regards,\nBob", "-- \nBob", "Thanks"]
)
def test_where_nothing_would_be_left_all_stays(text: str) -> None:
    assert clean(told(text)).text == clean(text).text


def test_html_becomes_the_lines_that_a_reader_sees() -> None:
    html = (
        "<html><head><title>T</title><style>p {color: red}</style></head><body><p>I was&nbsp;charged <b>twice</b>.</p>"
        "<ul><li>order&#32;7</li><li>5 &lt; 6</li></ul><table><tr><td>a</td><td>b</td></tr></table>x<br>y"
        "<script>alert('no')</script><!-- no --></body></html>"
    )
    found = newest(html)
    assert found.text == "I was charged twice.\n\norder 7\n5 < 6\na b\nx\ny"
    assert found.flags == ("markup_removed",)


@pytest.mark.parametrize(
    "old",
    [
        "<blockquote>Hello Bob,<br>it left.</blockquote>",
        '<div class="gmail_quote"><div class="gmail_attr">On 3 May 2026, Ada wrote:</div><p>No.</p></div>',
        '<div id="appendonsend"></div><hr><div id="divRplyFwdMsg"><b>From:</b> Ada</div><div>It left.</div>',
        '<div class="x_yahoo_quoted" id="1">It left.</div>',
        "<p>On 3 May 2026, Ada &lt;ada@example.com&gt; wrote:</p><p>It left.</p>",
    ],
)
def test_quotes_in_html_are_older(old: str) -> None:
    assert told(f"<div>{NEW}</div>{old}", is_html=True) == NEW


def test_signatures_in_html_are_left_out_unless_they_hold_all() -> None:
    signature = '<div class="gmail_signature">Bob, the best<br>of ACME</div>'
    assert newest(f"<div>{NEW}</div>{signature}").flags == ("markup_removed", "signature_removed")
    assert told(f"<div>{NEW}</div>{signature}") == NEW
    assert told(f'<div id="Signature">{NEW}</div>') == NEW


def test_a_text_that_happens_to_hold_angles_is_no_html() -> None:
    text = "if a <b and c> d then\ncrash"
    assert newest(text).text == text


def test_attachments_are_left_out() -> None:
    encoded = base64.encodebytes(bytes(range(256)) * 2_000).decode()
    assert told(f"{NEW}\n\n{encoded}\nBob") == f"{NEW}\n\nBob"
    assert newest(f"{NEW} {encoded.replace(chr(10), '')}").flags == ("attachment_removed",)
    assert told(f'<p>{NEW}</p><img src="data:image/png;base64,{encoded}">') == NEW


def test_without_a_word_there_is_no_text() -> None:
    for text in ("", " \n ", "<img src='x.png'>", "<p>&nbsp;</p>"):
        assert told(text) == ""


def test_half_a_character_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        newest("a\ud800")
    assert caught.value.code == "bad_encoding"


def test_what_lies_beyond_a_million_characters_is_not_read() -> None:
    found = newest("word " * (MAX_CHARACTERS // 5 + 1))
    assert found.flags == ("truncated",)
    assert len(found.text) < MAX_CHARACTERS


def test_html_without_its_library_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lxml.etree", None)
    assert told(NEW) == NEW
    with pytest.raises(MissingExtra, match=r"tagdesk\[serve\]"):
        newest(f"<p>{NEW}</p>")


HOSTILE = {
    "divs": "<div>" * 10_000 + "late" + "</div>" * 10_000,
    "open divs": "<div>" * 10_000 + "late",
    "blockquotes": "<blockquote>" * 10_000 + "late",
    "marked lines": "late\n" + "> line of text\n" * 10_000,
    "marks": "late\n" + ">" * 10_000 + " x",
    "deeper and deeper": "late\n" + "\n".join(">" * n for n in range(400)),
    "entities": "<p>late " + "&amp;" * 100_000,
    "nested entities": "late " + "&lt;!ENTITY a '&b;&b;'&gt;" * 2_000,
    "a bomb": '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><p>late &b;' + "&b;" * 10_000,
    "comments": "late<p>" + "<!--" * 20_000,
    "open tags": "<p>late" + "<a " * 20_000,
    "attributes": "<p " + "a='b' " * 10_000 + ">late",
    "intros": "late\n" + "On 1 a\n" * 10_000,
    "addresses": "late\n" + "a@b <\n" * 10_000,
    "headers": "late\n" + "From: a\n" * 10_000,
    "rules": "late\n" + "--\n" * 10_000,
    "sign-offs": "late\n" + "thanks\n" * 10_000,
    "blank lines": "late" + "\n" * 100_000 + "x",
    "one word": "late " + "a" * 100_000,
    "nearly encoded": "late " + ("A" * 59 + " ") * 5_000,
    "encoded": "late " + ("A" * 60 + "\n") * 3_000 + "=" * 10_000,
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("is_html", [False, True], ids=["plain", "html"])
def test_a_hostile_text_takes_no_time(kind: str, is_html: bool) -> None:  # noqa: FBT001 - a table's column
    began = time.process_time()
    found = newest(HOSTILE[kind], is_html=is_html)
    assert time.process_time() - began < SLOW
    assert "late" in found.text
    assert clean(found.text).text


def test_naughty_strings_do_no_harm() -> None:
    for text in NAUGHTY_STRINGS:
        for is_html in (False, True):
            with suppress(InputError):  # half characters
                assert set(newest(text, is_html=is_html).flags) <= set(FLAGS)


PIECES = st.lists(
    st.one_of(
        st.text(max_size=8),
        st.sampled_from(
            [
                *(
                    "\n",
                    "\n\n",
                    "> ",
                    ">",
                    "-- ",
                    "On 1, a wrote:",
                    "From: a@b",
                    "Subject: x",
                    "Regards,",
                    "Bob",
                    "late",
                ),
                *(
                    "<div>",
                    "</div>",
                    "<blockquote>",
                    "</blockquote>",
                    "<p class='gmail_signature'>",
                    "<br/>",
                    "</p>",
                    "<",
                ),
                *(
                    "<script>",
                    "</script>",
                    "<!--",
                    "-->",
                    "<![CDATA[",
                    "<?x",
                    "&amp;",
                    "&#x110000;",
                    "&#0;",
                    "\0",
                    "\x85",
                ),
                *(
                    "A1b" * 80,
                    "-----Original Message-----",
                    "this e-mail addressee",
                    "\u2028",
                    "\ufeff",
                    "<svg>",
                    "<table>",
                ),
            ]
        ),
    ),
    max_size=12,
).map("".join)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=PIECES, is_html=st.booleans())
def test_no_text_breaks_hygiene_and_what_is_told_is_the_writers(text: str, is_html: bool) -> None:  # noqa: FBT001 - drawn
    try:
        found = newest(text, is_html=is_html)
    except InputError:
        assert any("\ud800" <= sign <= "\udfff" for sign in text)
        return
    assert found.flags == tuple(flag for flag in FLAGS if flag in found.flags)
    assert found.text == found.text.strip("\n")
    if not is_html and "<" not in text and any(map(str.isalnum, text)):
        assert any(map(str.isalnum, found.text))
        assert set(filter(str.isalnum, found.text)) <= set(text)
