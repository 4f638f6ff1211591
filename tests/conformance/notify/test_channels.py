"""Every kind of channel keeps the promises of its port, against real sinks on loopback."""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.services.sinks import Answer, HttpSink, MailSink, listening
from weft.alerts.notify.attempt import attempt
from weft.alerts.notify.catalogue import KINDS, find_class, open_channel, secret_names
from weft.alerts.notify.destinations import Destinations
from weft.alerts.notify.message import Message
from weft.alerts.notify.notification import Notification
from weft.alerts.notify.port import Channel, Outgoing
from weft.alerts.notify.post import Poster
from weft.alerts.notify.template import fill
from weft.core.errors import Invalid, Refused, Unavailable, Unsupported
from weft.testing.clock import ManualClock

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # one of Apprise's libraries, on Python 3.11 and 3.12

SECRET = "correct-horse-battery-staple"
HTTP_KINDS = ("slack", "webhook", "sms", "sms-json", "apprise")


def make_notification(**changes: Any) -> Notification:
    values: dict[str, Any] = {
        "fingerprint": "f" * 32,
        "transition": 1,
        "state": "firing",
        "rule_id": "r-1",
        "rule_name": "Freezer warm",
        "rule_version": 2,
        "level": "critical",
        "summary": "The freezer -80/3 is at -51.5 °C",
        "labels": {"source": "freezer-3"},
        "values": {"temperature": -51.5},
        "since_us": 1_780_000_000_000_000,
        "at_us": 1_780_000_060_000_000,
        "links": {"alert": "https://weft.example.org/alerts/1"},
    }
    return Notification(**{**values, **changes})


def make_message(kind: str, *notifications: Notification, key: str = "k" * 32, attempt: int = 1) -> Message:
    told = notifications or (make_notification(),)
    template = find_class(kind).template
    texts = tuple({field: fill(text, one) for field, text in template.items()} for one in told)
    return Message(key=key, channel="ops", at_us=told[0].at_us, notifications=told, texts=texts, attempt=attempt)


def outgoing(*allowed: str, environment: str = "development", timeout_s: float = 5.0) -> Outgoing:
    clock = ManualClock()
    destinations = Destinations(allowed, environment=environment)
    return Outgoing(
        destinations=destinations,
        poster=Poster(destinations, timeout_s=timeout_s, clock=clock),
        timeout_s=timeout_s,
        clock=clock,
    )


@pytest.fixture
async def sink() -> AsyncIterator[HttpSink]:
    sink = HttpSink()
    async with listening(sink):
        yield sink


@pytest.fixture
async def mail() -> AsyncIterator[MailSink]:
    mail = MailSink()
    async with listening(mail):
        yield mail


def http_channel(name: str, port: int, out: Outgoing | None = None, path: str = "/hook") -> tuple[str, Channel]:
    """A channel of each kind that speaks HTTP, to a port of loopback."""
    url = f"http://127.0.0.1:{port}{path}"
    options: dict[str, tuple[str, dict[str, Any]]] = {
        "slack": ("slack", {"url": f"{url}/{SECRET}"}),
        "webhook": ("webhook", {"url": url, "secret": SECRET, "authorization": f"Bearer {SECRET}"}),
        "sms": (
            "sms",
            {"provider": "twilio", "url": url, "account": "AC1", "token": SECRET, "sender": "Weft", "to": "+4930123456"},
        ),
        "sms-json": ("sms", {"provider": "json", "url": url, "token": SECRET, "sender": "Weft", "to": "+4930123456"}),
        "apprise": ("apprise", {"url": f"gotify://127.0.0.1:{port}/{SECRET[:15]}"}),
    }
    kind, settings = options[name]
    return kind, open_channel(kind, settings, out or outgoing())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_says_what_it_is_and_describes_each_of_its_settings(kind: str) -> None:
    channel = find_class(kind)

    assert channel.kind == kind
    assert (channel.__doc__ or "").strip().endswith(".")
    assert [name for name, field in channel.options.model_fields.items() if not field.description] == []
    assert [field for field in channel.template if not fill(channel.template[field], make_notification())] == []


@pytest.mark.parametrize("name", HTTP_KINDS)
async def test_what_was_taken_is_said_in_the_other_sides_words(name: str, sink: HttpSink) -> None:
    kind, channel = http_channel(name, sink.port)
    sink.usual.body = b"taken, thank you"
    channel.check()

    said = await channel.send(make_message(kind))

    assert len(sink.taken) == 1
    assert "Freezer" in sink.taken[0].body.decode() or "freezer" in sink.taken[0].body.decode()
    assert "taken, thank you" in said or name == "apprise"


@pytest.mark.parametrize("name", HTTP_KINDS)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
async def test_a_refusal_is_final(name: str, status: int, sink: HttpSink) -> None:
    kind, channel = http_channel(name, sink.port)
    sink.usual = Answer(status, b"no such hook")

    with pytest.raises(Refused) as refused:
        await channel.send(make_message(kind))

    assert "no such hook" in refused.value.message or name == "apprise"


@pytest.mark.parametrize("name", HTTP_KINDS)
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
async def test_an_outage_is_not(name: str, status: int, sink: HttpSink) -> None:
    kind, channel = http_channel(name, sink.port)
    sink.usual = Answer(status, b"later")

    with pytest.raises(Unavailable):
        await channel.send(make_message(kind))


@pytest.mark.parametrize("name", HTTP_KINDS)
async def test_a_sink_that_is_gone_cuts_or_says_nothing_is_an_outage(name: str, sink: HttpSink) -> None:
    out = outgoing(timeout_s=0.5)
    kind, channel = http_channel(name, sink.port, out)
    sink.answers.append(Answer(None))
    with pytest.raises(Unavailable):
        await channel.send(make_message(kind))

    if name != "apprise":  # Apprise's own patience is longer than a test's; the deliverer's holds for it too
        sink.silent = True
        with pytest.raises(Unavailable, match="did not answer within"):
            await channel.send(make_message(kind))

    await sink.stop()
    with pytest.raises(Unavailable):
        await channel.send(make_message(kind))


@pytest.mark.parametrize("name", HTTP_KINDS)
async def test_nobody_is_led_anywhere_else(name: str, sink: HttpSink) -> None:
    kind, channel = http_channel(name, sink.port)
    sink.usual = Answer(302, b"", {"Location": f"{sink.url}/elsewhere"})

    with pytest.raises((Refused, Unavailable)):
        await channel.send(make_message(kind))

    assert len(sink.taken) == 1, "a redirect was followed"


@pytest.mark.parametrize("name", HTTP_KINDS)
async def test_no_secret_is_said_raised_or_logged(name: str, sink: HttpSink, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    kind, channel = http_channel(name, sink.port)
    hidden = [SECRET, f"{sink.url}/hook/{SECRET}"]
    for answer in (Answer(200, SECRET.encode()), Answer(400, SECRET.encode()), Answer(500, SECRET.encode())):
        sink.usual = answer

        tried = await attempt(channel, make_message(kind), hidden=hidden, timeout_s=5)

        assert SECRET not in tried.said
    await sink.stop()
    tried = await attempt(channel, make_message(kind), hidden=hidden, timeout_s=5)
    assert SECRET not in tried.said
    assert SECRET[:15] not in caplog.text
    assert SECRET not in repr(channel)
    assert SECRET not in channel.destination


@pytest.mark.parametrize("name", HTTP_KINDS)
async def test_nothing_goes_where_it_may_not(name: str, sink: HttpSink) -> None:
    for out in (outgoing(environment="production"), outgoing("hooks.slack.com", "*", environment="production")):
        kind, channel = http_channel(name, sink.port, out)
        with pytest.raises(Invalid, match="allowed_hosts"):
            channel.check()
        with pytest.raises(Refused, match="allowed_hosts"):
            await channel.send(make_message(kind))

    assert sink.taken == []


async def test_an_answer_without_end_is_not_read_to_its_end(sink: HttpSink) -> None:
    kind, channel = http_channel("webhook", sink.port)
    sink.usual = Answer(200, b"x" * 5_000_000)

    said = await channel.send(make_message(kind))

    assert len(said) < 400


@pytest.mark.parametrize(
    ("text", "seconds"), [("7", 7), ("Thu, 28 May 2026 20:27:10 GMT", 30), ("soon", 0), ("9999999999", 3600)]
)
async def test_the_other_side_says_when_to_come_back(text: str, seconds: int, sink: HttpSink) -> None:
    kind, channel = http_channel("webhook", sink.port)
    sink.usual = Answer(429, b"", {"Retry-After": text})

    with pytest.raises(Unavailable) as busy:
        await channel.send(make_message(kind))

    assert busy.value.retry_after_s == seconds


@pytest.mark.contract("SF-144")
async def test_a_webhook_is_posted_with_its_key_and_a_signature_over_all_of_it(sink: HttpSink) -> None:
    kind, channel = http_channel("webhook", sink.port)

    await channel.send(make_message(kind))

    (taken,) = sink.taken
    assert taken.headers["idempotency-key"] == taken.headers["webhook-id"] == "k" * 32
    signed = f"{'k' * 32}.{taken.headers['webhook-timestamp']}.".encode() + taken.body
    digest = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
    assert taken.headers["webhook-signature"] == f"v1,{digest}"
    assert taken.headers["authorization"] == f"Bearer {SECRET}"
    (told,) = taken.json["notifications"]
    assert (told["state"], told["rule"]["name"], told["values"]) == ("firing", "Freezer warm", {"temperature": -51.5})


async def test_a_webhook_speaks_to_what_listens_for_alertmanager(sink: HttpSink) -> None:
    channel = open_channel("webhook", {"url": sink.url, "shape": "alertmanager"}, outgoing())
    over = make_notification(fingerprint="a" * 32, state="resolved", labels={"source": "freezer-4"})

    await channel.send(make_message("webhook", make_notification(), over))

    body = sink.taken[0].json
    assert (body["version"], body["status"], body["receiver"]) == ("4", "firing", "ops")
    assert [alert["status"] for alert in body["alerts"]] == ["firing", "resolved"]
    assert body["commonLabels"] == {"alertname": "Freezer warm", "severity": "critical"}
    assert body["alerts"][0]["startsAt"] == "2026-05-28T20:26:40Z"


@pytest.mark.contract("SF-143")
async def test_slack_gets_blocks_in_which_an_event_cannot_write_markup(sink: HttpSink) -> None:
    kind, channel = http_channel("slack", sink.port)

    await channel.send(make_message(kind, make_notification(summary="<!channel> & <http://evil|click>")))

    (taken,) = sink.taken
    assert taken.path == f"/hook/{SECRET}"
    assert [block["type"] for block in taken.json["blocks"]] == ["header", "section", "context"]
    assert taken.json["blocks"][1]["text"]["text"].startswith("&lt;!channel&gt; &amp; &lt;http")


async def test_slack_gets_no_more_blocks_than_it_takes(sink: HttpSink) -> None:
    kind, channel = http_channel("slack", sink.port)
    many = [make_notification(fingerprint=f"{number:032}", summary="&" * 2000) for number in range(80)]

    await channel.send(make_message(kind, *many))

    blocks = sink.taken[0].json["blocks"]
    assert len(blocks) <= 50
    assert "65 more" in json.dumps(blocks[-1])
    assert max(len(block["text"]["text"]) for block in blocks if block["type"] == "section") <= 3000


@pytest.mark.contract("SF-145", "SF-D27")
async def test_a_text_message_is_called_for_at_the_provider_and_is_short(sink: HttpSink) -> None:
    kind, channel = http_channel("sms", sink.port)

    await channel.send(make_message(kind, make_notification(summary="warm " * 400)))

    (taken,) = sink.taken
    assert taken.path == "/hook/2010-04-01/Accounts/AC1/Messages.json"
    assert taken.headers["authorization"] == "Basic " + base64.b64encode(f"AC1:{SECRET}".encode()).decode()
    form = dict(pair.split("=") for pair in taken.body.decode().split("&"))
    assert (form["To"], form["From"]) == ("%2B4930123456", "Weft")
    assert 100 < len(form["Body"]) <= 3 * 320


@pytest.mark.contract("SF-D27")
@pytest.mark.parametrize("provider", [None, "pigeon"])
async def test_without_a_provider_it_known_a_text_message_says_so_each_time(provider: str | None) -> None:
    channel = open_channel("sms", {"provider": provider, "sender": "Weft", "to": "+4930123456"}, outgoing())
    channel.check()

    with pytest.raises(Unavailable, match="twilio, json"):
        await channel.send(make_message("sms"))


async def test_a_command_is_declared_and_says_that_nothing_serves_it() -> None:
    channel = open_channel("command", {"device": "pump-1", "action": "stop"}, outgoing())
    channel.check()

    with pytest.raises(Unsupported, match="pump-1"):
        await channel.send(make_message("command"))


def mail_channel(mail: MailSink, **settings: Any) -> Channel:
    usual = {
        "host": "127.0.0.1",
        "port": mail.port,
        "security": "none",
        "sender": "weft@lab.example",
        "to": ["ada@lab.example"],
    }
    return open_channel("email", {**usual, **settings}, outgoing(timeout_s=2))


@pytest.mark.contract("SF-142")
async def test_mail_about_one_alert_is_one_conversation(mail: MailSink) -> None:
    channel = mail_channel(mail, to=["ada@lab.example", "bob@lab.example"])
    over = make_notification(state="resolved", transition=2)

    said = await channel.send(make_message("email"))
    await channel.send(make_message("email", over, key="m" * 32))

    first, second = mail.mails
    assert said.startswith("250 taken as 1")
    assert mail.recipients[0] == ["ada@lab.example", "bob@lab.example"]
    assert first["Subject"] == "[firing] Freezer warm: The freezer -80/3 is at -51.5 °C"
    assert first["Message-ID"] == f"<{'k' * 32}@lab.example>"
    assert first["References"] == second["References"]
    assert first["Auto-Submitted"] == "auto-generated"
    assert "Values: temperature=-51.5" in first.get_content()
    assert "Why:" not in first.get_content(), "a line with nothing to say was written"


async def test_no_event_writes_a_header_of_a_mail(mail: MailSink) -> None:
    await mail_channel(mail).send(make_message("email", make_notification(summary="warm\r\nBcc: eve@evil.example")))

    assert mail.mails[0]["Bcc"] is None
    assert "Bcc: eve@evil.example" in mail.mails[0]["Subject"]


async def test_a_mail_that_is_refused_for_good_is_told_from_one_that_is_not(mail: MailSink) -> None:
    channel = mail_channel(mail)
    mail.refusals["ada@lab.example"] = "550 no such mailbox"
    with pytest.raises(Refused, match="550 no such mailbox"):
        await channel.send(make_message("email"))
    mail.refusals["ada@lab.example"] = "450 greylisted"
    with pytest.raises(Unavailable, match="450 greylisted"):
        await channel.send(make_message("email"))
    mail.refusals.clear()
    mail.after_data = "554 this is spam"
    with pytest.raises(Refused, match="554 this is spam"):
        await channel.send(make_message("email"))
    mail.after_data = "452 disk full"
    with pytest.raises(Unavailable, match="452"):
        await channel.send(make_message("email"))
    await mail.stop()
    with pytest.raises(Unavailable, match="cannot be reached"):
        await channel.send(make_message("email"))
    assert mail.mails == []


async def test_one_bad_recipient_does_not_keep_the_others_from_hearing(mail: MailSink) -> None:
    channel = mail_channel(mail, to=["gone@lab.example", "grey@lab.example", "ada@lab.example"])
    mail.refusals = {"gone@lab.example": "550 no such mailbox", "grey@lab.example": "450 greylisted"}

    with pytest.raises(Unavailable, match="greylisted"):
        await channel.send(make_message("email"))
    assert mail.mails == [], "it would be sent twice to those who were taken"
    said = await channel.send(make_message("email", attempt=4))

    assert mail.recipients == [["ada@lab.example"]]
    assert "not to gone@lab.example: 550 no such mailbox" in said
    assert "not to grey@lab.example: 450 greylisted" in said


async def test_a_mail_server_that_says_nothing_is_given_up_in_time() -> None:
    hung_up = asyncio.Event()

    async def be_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        hung_up.set()

    server = await asyncio.start_server(be_silent, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        channel = open_channel(
            "email",
            {"host": "127.0.0.1", "port": port, "security": "none", "sender": "a@b.example", "to": ["c@d.example"]},
            outgoing(timeout_s=0.3),
        )
        with pytest.raises(Unavailable):
            await channel.send(make_message("email"))
        await hung_up.wait()


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"security": "none", "username": "u", "password": "p"}, "settings.security"),
        ({"username": "u"}, "settings.password"),
        ({"to": []}, "settings.to"),
        ({"to": ["ada@lab.example\r\nBcc: eve@evil.example"]}, "settings.to.0"),
        ({"host": "169.254.169.254"}, "settings.host"),
        ({"hots": "x"}, "settings.hots"),
    ],
)
def test_a_mail_channel_that_cannot_work_is_refused_by_the_name_of_its_setting(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        mail_channel(MailSink(port=25), **settings).check()

    assert refused.value.field == field


@pytest.mark.parametrize(
    "url",
    [
        "json://127.0.0.1/x", "mailto://u:p@example.org", "syslog://", "dbus://", "windows://", "nonsense", "discord://",
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/?template=/etc/passwd", "gotify://169.254.169.254/token12345678",
    ],
)  # fmt: skip
def test_apprise_is_kept_from_files_from_this_machine_and_from_addresses_of_anybodys_choice(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        open_channel("apprise", {"url": url}, outgoing()).check()

    assert refused.value.field == "settings.url"


def test_secrets_are_known_as_such() -> None:
    assert {kind: sorted(secret_names(kind)) for kind in KINDS} == {
        "email": ["password"],
        "slack": ["url"],
        "webhook": ["authorization", "secret"],
        "sms": ["token"],
        "apprise": ["url"],
        "command": [],
    }
