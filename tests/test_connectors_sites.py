from __future__ import annotations

import re
from pathlib import Path

import pytest

from tagdesk.connectors.sites import Site, read_sites
from tagdesk.errors import UsageError
from tagdesk.prediction import Decision

CANARY = "s3cret-zanzibar"
WHOLE = """
[acme]
kind = "zendesk"
secret = "s3cret-zanzibar"
url = "https://acme.zendesk.com"
user = "ada@acme.example"
token_env = "ACME_TOKEN"
tenant = "shop"
users = ["4711"]
prefix = "td_"
tag_from = "automate"
note = false
dry_run = true

[acme.tags]
"Billing Issue" = "billing"

[chat-2]
kind = "chatwoot"
secret_env = "CHAT_SECRET"
url = "http://127.0.0.1:3000"
token = "t"
account = "3"
"""
ENVIRONMENT = {"ACME_TOKEN": "tok", "CHAT_SECRET": "chat"}
ZENDESK = 'kind = "zendesk"\nsecret = "s3cret-zanzibar"\nurl = "https://a.example"\ntoken = "s3cret-zanzibar"\n'


def read(text: str, tmp_path: Path) -> list[Site]:
    path = tmp_path / "help-desks.toml"
    path.write_text(text, encoding="utf-8")
    return read_sites(path, ENVIRONMENT)


def refusal(text: str, tmp_path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        read(text, tmp_path)
    assert CANARY not in str(caught.value)
    assert caught.value.code == "bad_help_desks"
    assert str(caught.value).startswith(str(tmp_path / "help-desks.toml"))
    return str(caught.value)


def test_a_file_says_all_that_there_is_to_say(tmp_path: Path) -> None:
    acme, chat = read(WHOLE, tmp_path)
    assert (acme.name, acme.tenant, acme.users, acme.prefix) == ("acme", "shop", {"4711"}, "td_")
    assert (acme.tag_from, acme.has_note, acme.is_dry) == (Decision.AUTOMATE, False, True)
    access = acme.help_desk.access
    assert (access.base_url, access.user, access.token) == ("https://acme.zendesk.com", "ada@acme.example", "tok")
    assert acme.help_desk.connector.name == "zendesk"
    assert acme.tags(["Billing Issue", "Refund Request"]).tags_of(["Billing Issue", "Refund Request"]) == (
        "billing",
        "td_refund_request",
    )
    assert (chat.secret, chat.help_desk.access.account, chat.tenant) == ("chat", "3", "default")
    assert (chat.tag_from, chat.has_note, chat.is_dry) == (Decision.SUGGEST, True, False)


def test_no_secret_shows(tmp_path: Path) -> None:
    for site in read(WHOLE, tmp_path):
        assert CANARY not in repr(site)
        assert "tok'" not in repr(site)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no help desk"),
        ("[acme]\nsecret = 's3cret-zanzibar", "it is no TOML at end of document"),
        ("[acme]\nsecret = s3cret-zanzibar\n", "it is no TOML at line 2, column"),
        ("secret = 's3cret-zanzibar'\n", "outside of a table"),
        ("[acme]\nkind = 's3cret-zanzibar'\n", "[acme] kind: expected one of zendesk, zammad"),
        ("[acme]\n", "[acme] kind: expected one of"),
        ("[acme]\nkind = 7\n", "[acme] kind: expected a text in quotes"),
        (f"[Acme]\n{ZENDESK}", "a-z, 0-9"),
        (f"['s3cret-zanzibar é']\n{ZENDESK}", "a-z, 0-9"),
        (f"[acme]\n{ZENDESK}colour = 1\n", "[acme] colour: unknown"),
        ("[acme]\nkind = 'zammad'\n", "[acme] secret: missing. Give it, or secret_env"),
        ("[acme]\nkind = 'zammad'\nsecret = ''\n", "[acme] secret: it is empty"),
        ("[acme]\nkind = 'zammad'\nsecret_env = 's3cret-zanzibar'\n", "[acme] secret_env: expected the name of an"),
        ("[acme]\nkind = 'zammad'\nsecret_env = 7\n", "[acme] secret_env: expected the name of an"),
        (f"[acme]\n{ZENDESK}secret_env = 'CHAT_SECRET'\n", "[acme] secret_env: secret is given as well"),
        (ZENDESK.join(["[acme]\n", ""]).replace("https://a.example", "http://s3cret-zanzibar"), "[acme] url: expected"),
        (f"[acme]\n{ZENDESK}".replace("https://a", "https://u:s3cret-zanzibar@a"), "[acme] url: expected"),
        (f"[acme]\n{ZENDESK}".replace("https://a", "htps://u:s3cret-zanzibar@a"), "[acme] url: expected"),
        (f"[acme]\n{ZENDESK}".replace('token = "', 'token = "two words '), "[acme] token: it is empty or holds"),
        (f"[acme]\n{ZENDESK}user = 'a:b'\n", "[acme] user: expected the e-mail address"),
        (f"[acme]\n{ZENDESK}account = '3'\n", "[acme] account: only chatwoot has one"),
        (f"[acme]\n{ZENDESK}".replace("zendesk", "zammad") + "user = 'a'\n", "[acme] user: only zendesk has one"),
        (f"[acme]\n{ZENDESK}".replace("zendesk", "chatwoot"), "[acme] account: missing"),
        (f"[acme]\n{ZENDESK}".replace("zendesk", "chatwoot") + "account = 'x'\n", "[acme] account: expected"),
        (f"[acme]\n{ZENDESK}tenant = '{'t' * 201}'\n", "[acme] tenant: expected a name"),
        (f"[acme]\n{ZENDESK}users = [7]\n", "[acme] users: expected a list"),
        (f"[acme]\n{ZENDESK}note = 'yes'\n", "[acme] note: expected true or false"),
        (f"[acme]\n{ZENDESK}tag_from = 'never'\n", "[acme] tag_from: expected one of suggest, automate"),
        (f"[acme]\n{ZENDESK}tags = ['x']\n", "[acme] tags: expected a table"),
        (f"[acme]\n{ZENDESK}tags = {{ x = 7 }}\n", "[acme] tags: expected a table"),
    ],
)
def test_a_fault_names_the_field_and_the_remedy_and_no_secret(text: str, says: str, tmp_path: Path) -> None:
    assert says in refusal(text, tmp_path)


def test_a_file_that_is_not_there_or_no_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_sites(tmp_path / "none.toml", {})
    path = tmp_path / "bytes.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="byte 0 is no UTF-8"):
        read_sites(path, {})


def test_a_tag_for_a_label_that_there_is_not_is_told_at_the_start_and_waits_afterwards(tmp_path: Path) -> None:
    (site, _) = read(WHOLE, tmp_path)
    site.check(["Billing Issue"])
    with pytest.raises(UsageError, match="Help desk 'acme': Tags for 'Billing Issue': no such label"):
        site.check(["Refund Request"])
    assert site.tags(["Refund Request"]).by_label == {"Refund Request": "td_refund_request"}


def test_a_tag_that_is_too_long_there_is_told(tmp_path: Path) -> None:
    (site,) = read(f"[acme]\n{ZENDESK}".replace("zendesk", "freshdesk"), tmp_path)
    with pytest.raises(UsageError, match="more than the 32 characters"):
        site.check(["A label with rather many words in it"])


def test_the_examples_of_the_manual_can_be_read(tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent / "docs" / "how-to" / "help-desks.md").read_text(encoding="utf-8")
    blocks = [part.partition("```")[0] for part in page.split("```toml\n")[1:]]
    variables = dict.fromkeys(re.findall(r'_env = "(\w+)"', page), "x")
    for number, block in enumerate(blocks):
        path = tmp_path / f"{number}.toml"
        path.write_text(block, encoding="utf-8")
        (site,) = read_sites(path, variables)
        site.check(["Billing Issue", "Refund Request"])
    assert len(blocks) == 5
