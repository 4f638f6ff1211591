"""Encrypted connections go to the address that was checked and are proven for the name that was meant."""

import asyncio
import datetime as dt
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.conformance.notify.test_channels import make_message, outgoing
from tests.services.sinks import HttpSink, MailSink, listening
from weft.alerts.notify.catalogue import open_channel
from weft.alerts.notify.port import Channel
from weft.alerts.notify.tls import tls_context
from weft.core.errors import Refused, Unavailable

NAME = "sink.example.org"


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ssl.SSLContext]:
    """A certificate for NAME that this machine trusts, and NAME leading to loopback as every other name does."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "certificate.pem"
    file.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    tls_context.cache_clear()
    yield context
    tls_context.cache_clear()


@pytest.fixture(autouse=True)
async def names(monkeypatch: pytest.MonkeyPatch) -> None:
    async def look_up(host: str, port: int, **_: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)


async def test_a_webhook_is_posted_encrypted_to_the_name_that_was_meant(tls: ssl.SSLContext) -> None:
    sink = HttpSink(tls=tls)
    async with listening(sink):
        await open_channel("webhook", {"url": f"https://{NAME}:{sink.port}/x"}, outgoing()).send(make_message("webhook"))

        assert sink.taken[0].headers["host"] == f"{NAME}:{sink.port}"
        with pytest.raises(Unavailable, match="certificate"):
            await open_channel("webhook", {"url": f"https://other.example.org:{sink.port}/x"}, outgoing()).send(
                make_message("webhook")
            )
        assert len(sink.taken) == 1


def mail(sink: MailSink, security: str, host: str = NAME, password: str = "good") -> Channel:
    settings = {"host": host, "port": sink.port, "security": security, "username": "weft", "password": password}
    return open_channel("email", {**settings, "sender": "weft@lab.example", "to": ["ada@lab.example"]}, outgoing())


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_mail_and_its_password_travel_encrypted(security: str, tls: ssl.SSLContext) -> None:
    sink = MailSink(password="good", **{security: tls})
    async with listening(sink):
        await mail(sink, security).send(make_message("email"))
        assert len(sink.mails) == 1

        with pytest.raises(Refused, match="535"):
            await mail(sink, security, password="wrong").send(make_message("email"))
        with pytest.raises(Unavailable, match="certificate"):
            await mail(sink, security, host="other.example.org").send(make_message("email"))
        assert len(sink.mails) == 1


async def test_a_mail_server_that_cannot_encrypt_gets_no_password() -> None:
    sink = MailSink(password="good")
    async with listening(sink):
        with pytest.raises(Unavailable, match="STARTTLS"):
            await mail(sink, "starttls").send(make_message("email"))

        assert sink.mails == []
