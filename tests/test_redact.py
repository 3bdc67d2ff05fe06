from __future__ import annotations

import re
import sys
import time
from types import SimpleNamespace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tagdesk.errors import MissingExtra
from tagdesk.redact import (
    FINDERS,
    KINDS,
    Redacted,
    find_cards,
    find_emails,
    find_ibans,
    find_ips,
    find_phones,
    find_ssns,
    find_tokens,
    presidio_finder,
    redact,
)

SLOW = 2.0  # processor seconds for 200,000 characters; ten times what is wanted, because test machines are busy
LONG = 200_000

# What must go. Bars stand around it where the words before it may stay.
EMAILS = """\
john@example.com
john.doe+tag@sub.example.co.uk
user_name-1@x-y.io
o'brien@example.ie
name%tag@example.org
JOHN@EXAMPLE.COM
mailto:|john@example.com|
email=|john@example.com|&x=1
To:|john@example.com|;
"john doe"@example.com
jürgen@müller.de
李雷@例子.公司
jose\u0301@example.com
\uff4aohn\uff20example\uff0e\uff43om
x@xn--bcher-kva.example
a (at) b.com
john(at)example(dot)com
john [at] example [dot] com
john[AT]example[DOT]com
john {at} example.com
john(ät)example(punkt)de""".splitlines()

CARDS = [
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "4111.1111.1111.1111",
    "4111 - 1111 - 1111 - 1111",
    "4111\u20131111\u20131111\u20131111",
    "4111\u00a01111\u00a01111\u00a01111",
    "4111111111111111",
    "4222222222222",  # 13 digits
    "30569309025904",
    "3056 930902 5904",
    "378282246310005",
    "3782 822463 10005",
    "5555 5555 5555 4444",
    "2223003122003222",
    "6011000990139424",
    "6304 0000 0000 0000 000",  # 19 digits
    "4111 1111\n1111 1111",
    "4111 1111 1111\r\n> 1111",
    "\uff14\uff11\uff11\uff11 \uff11\uff11\uff11\uff11 \uff11\uff11\uff11\uff11 \uff11\uff11\uff11\uff11",
    "\u0664\u0661\u0661\u0661 \u0661\u0661\u0661\u0661 \u0661\u0661\u0661\u0661 \u0661\u0661\u0661\u0661",
]

IBANS = [
    "DE89 3704 0044 0532 0130 00",
    "DE89370400440532013000",
    "de89370400440532013000",
    "De89-3704-0044-0532-0130-00",
    "DE89 3704 0044 0532\n0130 00",
    "GB29 NWBK 6016 1331 9268 19",
    "gb29nwbk60161331926819",
    "FR14 2004 1010 0505 0001 3M02 606",
    "NO93 8601 1117 947",
    "MT84MALT011000012345MTLCAST001S",
    "IBAN:|NL91 ABNA 0417 1643 00|",
]

IPS = [
    "1.2.3.4",
    "192.168.0.1",
    "|10.0.0.1|/24",
    "|10.0.0.1|:8080",
    "2001:db8::1",
    "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
    "::ffff:192.0.2.1",
    "fe80::1%eth0",
    "IP:|2001:db8::1|",
    "[|2001:db8::1|]:443",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
]

SSNS = [
    "123-45-6789",
    "123\u201145\u20116789",
    "SSN-|123-45-6789|",
    "SSN |123 45 6789|",
    "social security number: |123456789|",
    "912-70-1234",  # a tax number
]

TOKENS = """\
password: |xyz|
Password:|hunter2|
password = |Tr0ub4dor&3|
password is |hunter2|
my passwords: |Tulip-7|
Passwort lautet |Tulpe42|
Kennwort: |geheim|
contrase\u00f1a: |perro-verde|
\u043f\u0430\u0440\u043e\u043b\u044c: |qwerty|
\u5bc6\u7801\uff1a|abc123|
password for my account: |Hunter22|
pwd=|abc|&user=anna
{"password": "|correct horse battery|"}
api_key=|foo-bar|
api-key: "|my-own-key|"
API key: |12345|
DB_PASSWORD=|topsecret|
access_token=|ya29.abc|
secret: |s3cr3t!|
token: |abc123|
PIN: |1234|
cvv |123|
Bearer |abcdef1234567|
Authorization: Basic |dXNlcjpwYXNz|
eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-DEF_123
sk-abc123DEF456ghi789
sk-proj-abc123_DEF456-ghi789
sk_live_abcdefghijk123
ghp_abcdefghijklmnopqrstuvwxyz0123456789
xoxb-123456789012-abcdefABCDEF
AKIAIOSFODNN7EXAMPLE
wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
d41d8cd98f00b204e9800998ecf8427e
DA39A3EE5E6B4B0D3255BFEF95601890AFD80709
https://app.example.com/reset/|q7Wv2Lk9Zt4Xb8Nc1Rm5Hd3Jf6Ps0Gy5|
https://|anna:s3cret|@example.com/x
ftp://|anna:p@ss|@example.com
-----BEGIN PRIVATE KEY-----~MIIEvQ~-----END PRIVATE KEY-----""".splitlines()  # the waves are line breaks

PHONES = """\
+49 30 1234567
+493012345678
+49-170-1234567
+49 (0) 30 1234567
+49(0)30-1234567
(+49) 30 1234567
+44 20 7946 0958
+86 138 0013 8000
+1 (555) 123-4567
+1.555.123.4567
+1 (555) 123-4567 ext. 89
+1-555-123-4567x12
tel:|+4930123456|
0049 30 1234567
00 49 30 1234567
00491701234567
(555) 123-4567
(030) 1234567
(020) 7946 0958
555-123-4567
555.123.4567
555 123 4567
1-800-555-1234
030 1234567
0171-2345678
0171/2345678
020 7946 0958
07700 900123
01 23 45 67 89
06.12.34.56.78
call |12345678|
call me at |123 456 789|
Tel.: |12345678|
phone: |1234-5678|
phone_number: |98765432|
my number is |01711234567|
whatsapp |5551234567|
https://wa.me/|4917012345678|
mobile |612 345 678|
Handynummer |01711234567|
Tel|0301234567|
|12345678| is my mobile
\u202a|+49 170 1234567|\u202c
\uff0b\uff14\uff19\u3000\uff13\uff10\u3000\uff11\uff12\uff13\uff14\uff15\uff16\uff17
\u0660\u0663\u0660 \u0661\u0662\u0663\u0664\u0665\u0666\u0667""".splitlines()

PLANTED = [
    (kind, text)
    for kind, texts in zip(KINDS, (TOKENS, EMAILS, IBANS, CARDS, IPS, SSNS, PHONES), strict=True)
    for text in texts
]

# What must stay, to the character.
ORDINARY = """\
order 4711-2290
order 12345678, and I called 3 times
I called twice. Where is 47112290?
call me about invoice 20240001
I have two orders: 47112290 and 47112291
ref 123 456 789
INV-2024-0001
ticket #555-123-4567
order number 030-1234567
order no. 555-123-4567
SKU 0123-4567-89
model 0471-123456
customer number 0301234567
Kundennummer 0301 234567
Bestellnummer: 030-1234567
account 12345678
PO 4500012345
Booking AB12345678
phone case 47112290-A
1234567890123
12345678901234567890
tracking 00340434161094000000
1Z999AA10123456784
RR123456785DE
JD014600006281230704
ISBN 978-0-306-40615-7
0-306-40615-2
4006381333931
IMEI 356938035643809
2026-11-28
2026-11-28T10:15:30Z
2026-11-28 10:15:30.123+01:00
28.11.2026
28/11/2026
11/28/26
28 11 2026
01.02.2026 14:30
01.02.2026 - 05.02.2026
01.-05.12.2026
12.05. - 14.05.2026 um 10.30 Uhr
2026-11-28 2026-11-29 2026-11-30
08/2026 - 12/2026
2024-2025
09:00-17:30
09.00-17.30
12:30:45
UTC+0100
call 911
call 24/7
1,299.00
1.299.000,00 EUR
€ 12 345 678,00
12 345 678 EUR
12,345,678
10 000 000
50% off 100 000 items
3.1415926535897931
52.5200066, 13.4049540
1920x1080
01 02 03 04 05 06
1 2 3 4 5 6 7 8 9 10 11 12
from 100-200 to 300-400
size 10-12-14-16
version 1.2.3
1.2.3
v1.2.3.4
firmware 1.2.3.4
Windows 10.0.19045.3570
1.2.3.4.5
999.999.999.999
00:1A:2B:3C:4D:5E
a::b
Foo::bad1
data[::2]
10:30
0000 0000 0000 0000
4111 1111 1111 1112
card ending 1111
**** **** **** 1111
GB29 NWBK 6016 1331 9268 18
no 15 items were late, and 16 more came later again with 1234567890
000-12-3456
666-12-3456
123-00-4567
123-45-0000
@john
meet @ home
user@localhost
logo@2x.png
forgot password? please help
password: it does not work
Password: not accepted
my password is wrong!
password is not working
token expired
it is the ten-day pass: give me one
a monkey: 12345a
the bearer certificates are here
pin down the bug
https://example.com/reset
https://example.com:8080/path?mail=none
https://shop.example.com/blog/2024-11-how-to-return-your-item-after-30-days-without-a-receipt
https://shop.example.com/gp/product/B08N5WRWNW/B07XJ8C8F5
550e8400-e29b-41d4-a716-446655440000
getCustomerOrderHistoryResponseHandlerV2
order_2024_11_28_customer_4711_item_2290_final
[EMAIL] and [PHONE] and [TOKEN]
password: [TOKEN]
""".splitlines()

AROUND = ("{}", "Hello, {} thanks", "Hi there\n{}\nRegards")

# Pieces that come close to finds, to be put side by side.
BITS = """\
call |tel|phone |order |ref |my number |password:|password is |token=|://|a:b@|Bearer |SSN |pin:|x12| ext. 5|eyJ|sk-
DE89|0171 |030|+49|00|1234567|4111|[PHONE]|[EMAIL]|[at]|[|]|(|)|+|-|.|/|:|::|,|@|0|1|_|=|&|a|\u00e9|"|'|<|>
\u200b|  |\r"""
PIECES = st.lists(
    st.sampled_from([text.replace("|", "") for _, text in PLANTED] + ORDINARY + BITS.replace("\n", "|\n|").split("|")),
    max_size=12,
).map("".join)
PLACEHOLDER = re.compile(rf"\[(?:{'|'.join(KINDS)})\]")


def marked(text: str) -> tuple[str, str]:
    """The text without its bars, and what stands between them."""
    before, _, rest = text.partition("|")
    secret = rest.rpartition("|")[0] or before
    return text.replace("|", "").replace("~", "\n"), secret.replace("~", "\n")


# --- What goes, and what stays ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "text"), PLANTED)
def test_personal_data_goes_wherever_it_stands(kind, text):
    text, secret = marked(text)
    for around in (*AROUND, "\u4f60\u597d ({}) ..."):
        redacted = redact(around.format(text))
        assert redacted.counts == {kind: 1}
        assert redacted.text == around.format(text).replace(secret, f"[{kind}]")
        assert redacted.found


@pytest.mark.parametrize("text", ORDINARY)
def test_what_only_looks_like_personal_data_stays(text):
    for around in AROUND:
        whole = around.format(text)
        assert redact(whole) == Redacted(whole, {})
        assert not redact(whole).found


def test_a_message_keeps_everything_else():
    message = (
        "Hi,\r\n\tmy order 4711-2290 of 2026-11-28 (1,299.00 \u20ac) is late \U0001f620\n"
        "Call +49 30 1234567 or 0171/2345678, mail ann+shop@example.com.\n"
        "Paid with 4111 1111 1111 1111 from DE89 3704 0044 0532 0130 00; my login: password: Tulip42!\n"
    )
    assert redact(message).text == (
        "Hi,\r\n\tmy order 4711-2290 of 2026-11-28 (1,299.00 \u20ac) is late \U0001f620\n"
        "Call [PHONE] or [PHONE], mail [EMAIL].\n"
        "Paid with [CARD] from [IBAN]; my login: password: [TOKEN]\n"
    )
    assert redact(message).counts == {"TOKEN": 1, "EMAIL": 1, "IBAN": 1, "CARD": 1, "PHONE": 2}


@pytest.mark.parametrize("text", ["", " ", "\n", "\0", "\ud800", "[", "[[EMAIL]", "\x01" * 9])
def test_texts_with_nothing_in_them_stay(text):
    assert redact(text) == Redacted(text, {})


def test_what_was_recognised_once_is_found_wherever_it_is_repeated():
    assert redact("order 12345678, call 12345678").text == "order [PHONE], call [PHONE]"
    assert redact("password: Tulip42. I typed Tulip42, twice.").text == "password: [TOKEN]. I typed [TOKEN], twice."


def test_a_common_word_given_as_a_password_goes_only_there():
    assert redact("password: sunshine\nThe sunshine is nice").text == "password: [TOKEN]\nThe sunshine is nice"


def test_the_word_nearest_to_a_number_says_what_it_is():
    assert redact("call me about order 12345678").counts == {}
    assert redact("about my order, call 12345678").counts == {"PHONE": 1}
    assert redact("my phone is 12345678 and my order 12345679").text == "my phone is [PHONE] and my order 12345679"


def test_a_phone_number_ends_where_the_next_number_begins():
    assert redact("030 1234567 0171 2345678").text == "[PHONE] [PHONE]"
    assert redact("+49 30 1234567 / +49 171 2345678").text == "[PHONE] / [PHONE]"
    assert redact("030 1234567 4711 2290").text == "[PHONE] 4711 2290"
    assert redact("(call (030) 1234567)").text == "(call [PHONE])"


def test_an_address_in_a_longer_form_goes_whole():
    assert redact("from ::ffff:192.0.2.1 today").counts == {"IP": 1}
    assert redact("https://anna:s3cret@example.com/orders").text == "https://[TOKEN]@example.com/orders"


def test_glued_finds_all_go():
    assert redact("+49301234567+49301234568").text == "[PHONE][PHONE]"
    assert redact("a@b.co-c@d.co").text == "[EMAIL]-[EMAIL]"
    assert redact("+1.555.123.4567phone number 98765432").text == "[PHONE]phone number [PHONE]"


# --- Finders of one's own --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("finder", "text", "kind"),
    [
        (find_tokens, "ghp_abc123def456", "TOKEN"),
        (find_emails, "a@example.com", "EMAIL"),
        (find_ibans, "NO9386011117947", "IBAN"),
        (find_cards, "4111111111111111", "CARD"),
        (find_ips, "192.0.2.1", "IP"),
        (find_ssns, "123-45-6789", "SSN"),
        (find_phones, "+4930123456", "PHONE"),
    ],
)
def test_each_finder_works_alone(finder, text, kind):
    assert list(finder(text)) == [(0, len(text), kind)]
    assert redact(text, [finder]) == Redacted(f"[{kind}]", {kind: 1})
    others = [other for other in FINDERS if other is not finder]
    assert kind not in redact(text, others).counts


def spans(*found):
    """A finder that gives these spans for every text that holds no placeholder yet."""
    return lambda text: () if "[" in text else found


def test_the_first_finder_wins_an_overlap_and_a_later_one_gets_the_rest():
    assert redact("Ann Lee", [spans((0, 3, "PERSON")), lambda text: [(0, len(text), "ORGANISATION")]]) == Redacted(
        "[PERSON][ORGANISATION]", {"PERSON": 1, "ORGANISATION": 1}
    )


def test_overlapping_spans_of_one_finder_become_one():
    assert redact("0123456789", [spans((4, 8, "BB"), (2, 6, "AA"), (2, 5, "CC"))]).text == "01[AA]89"
    assert redact("0123456789", [spans((2, 4, "AA"), (4, 6, "BB"))]).text == "01[AA][BB]6789"


def test_a_finder_sees_plain_digits_blanks_and_dashes_at_their_places():
    seen = []
    text = "\uff11\u00a0\u2013\u200b\u0662 \u201cx\u201d"
    redact(text, [lambda view: seen.append(view) or ()])
    assert seen == ['1 -\u200b2 "x"']
    assert len(seen[0]) == len(text)


@pytest.mark.parametrize("span", [(-1, 2, "AA"), (2, 2, "AA"), (3, 2, "AA"), (0, 5, "AA")])
def test_a_span_outside_the_text_is_refused(span):
    with pytest.raises(ValueError, match="in a text of 4 characters"):
        redact("abcd", [spans(span)])


@pytest.mark.parametrize("kind", ["person", "", "A]B", "AT", "A1"])
def test_a_kind_that_would_not_be_known_again_is_refused(kind):
    with pytest.raises(ValueError, match="expected capital letters"):
        redact("abcd", [spans((0, 2, kind))])


def test_presidio_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(MissingExtra, match=r"Presidio needs an extra .* 'tagdesk\[presidio\]'"):
        presidio_finder()


def test_presidio_finds_beside_our_finders(monkeypatch):
    class AnalyzerEngine:
        def analyze(self, *, text, language):
            assert language == "en"
            names = [("Ann Lee", "PERSON"), ("Berlin", "LOCATION"), ("ann at home", "EMAIL_ADDRESS")]
            return [
                SimpleNamespace(entity_type=kind, start=text.index(name), end=text.index(name) + len(name))
                for name, kind in names
                if name in text
            ]

    monkeypatch.setitem(sys.modules, "presidio_analyzer", SimpleNamespace(AnalyzerEngine=AnalyzerEngine))
    redacted = redact("Ann Lee, Berlin, +49 30 1234567, ann at home", [*FINDERS, presidio_finder()])
    assert redacted.text == "[PERSON], [LOCATION], [PHONE], [EMAIL]"


# --- What holds for every text ---------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=400)
@given(st.text(st.characters()) | PIECES | st.tuples(st.text(), PIECES, st.text()).map("".join))
@example("550e8400-e29b-41d4-a716-446655440000\n+86 138 0013 8000+49 (0) 30 1234567")
@example("[TOKEN].(+49) 30 1234567+49 30 1234567.+ ")
@example("john[AT]example[DOT]com-a (at) b.com: ")
@example("(+49 30 1234567) 030 1234567 x12 0171 2345678")
def test_redacting_twice_changes_nothing(text):
    once = redact(text)
    assert redact(once.text) == Redacted(once.text, {})


@settings(deadline=None, max_examples=400)
@given(st.text(st.characters()) | PIECES | st.tuples(st.text(), PIECES, st.text()).map("".join))
def test_outside_of_the_finds_nothing_changes(text):
    redacted = redact(text)
    assert len(PLACEHOLDER.findall(redacted.text)) == len(PLACEHOLDER.findall(text)) + sum(redacted.counts.values())
    kept = PLACEHOLDER.split(redacted.text)
    assert text.startswith(kept[0])
    assert text.endswith(kept[-1])
    place = 0
    for piece in kept:
        found = text.find(piece, place)
        assert found >= 0
        place = found + len(piece)


@settings(deadline=None, max_examples=400)
@given(st.text(), st.lists(st.sampled_from(PLANTED), min_size=1, max_size=5), st.text())
def test_planted_data_never_survives(before, planted, after):
    texts, secrets = zip(*(marked(text) for _, text in planted), strict=True)
    redacted = redact("\n".join([before, *texts, after]))
    kept = redacted.text.removeprefix(before).removesuffix(after)
    for secret in secrets:
        assert secret not in kept
    assert redacted.found


@settings(deadline=None, max_examples=300)
@given(st.integers(10**12, 10**19 - 1), st.sampled_from(["", " ", "-", "."]))
def test_a_card_number_goes_exactly_if_its_check_digit_is_right(number, gap):
    text = str(number)
    odd, even = text[-1::-2], text[-2::-2]
    is_card = (sum(map(int, odd)) + sum(sum(map(int, str(2 * int(digit)))) for digit in even)) % 10 == 0
    groups = gap.join(text[place : place + 4] for place in range(0, len(text), 4))
    if len(text) == 16:
        assert bool(list(find_cards(groups))) == is_card
    elif not is_card:
        assert not list(find_cards(text))


@settings(deadline=None, max_examples=300)
@given(st.ip_addresses().map(str))
def test_every_address_goes(address):
    expected = {"IP": 1} if address != "::" else {}
    assert redact(f"It came from {address} yesterday.", [find_ips]).counts == expected


# --- Time ------------------------------------------------------------------------------------------------------------

UNITS = """\
a@|(|1-|1 |::|a|1|a.|@a.|-|+|[|/|=|1.|1(|(1)|(+|1/|00 |0171 |1234 |030 1234567 |+49301234567 x12|
12:30 |01.02.2026|call 12345678 |order 12345678 |4111 1111 1111 1111 |DE89 |AB12|1.2.3.4 |a:|://a:
a(at)|a@b.co-|"a|eyJ|eyJaaaaaaaa.|Bearer |password:|password is |token:|sk-|aA1-|aA1/|ssn |AKIA
-----BEGIN PRIVATE KEY-----|[PHONE]|[EMAIL] |\u00e9@|\uff11"""


@pytest.mark.parametrize("unit", UNITS.replace("|\n", "|").replace("\n", "|").split("|"))
def test_time_grows_with_the_length_of_the_text_alone(unit):
    text = (unit * LONG)[:LONG]
    start = time.process_time()
    redact(text)
    assert time.process_time() - start < SLOW
