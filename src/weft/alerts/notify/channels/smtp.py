"""Notifications by e-mail."""

import asyncio
import socket
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Annotated, ClassVar, Final, Literal

import aiosmtplib
from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from weft.alerts.notify.message import Message
from weft.alerts.notify.port import Channel, Outgoing
from weft.alerts.notify.shorten import one_line
from weft.alerts.notify.tls import tls_context
from weft.core.errors import Invalid, Refused, Unavailable
from weft.core.times import to_datetime

Address = Annotated[str, StringConstraints(max_length=254, pattern=r"^[!-~]+@[A-Za-z0-9.\-\[\]:]+$")]

_SUBJECT_CHARS: Final = 200
_SAID_CHARS: Final = 300
_BETWEEN: Final = "\n\n" + "-" * 72 + "\n\n"
_PATIENT_ATTEMPTS: Final = 3
"""So often a message waits for recipients who are refused for the moment; then it goes to the others."""


class SmtpOptions(BaseModel):
    """A mail server and who writes to whom."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(min_length=1, max_length=253, description="Mail server.")
    port: int = Field(default=587, ge=1, le=65535, description="Its port: usually 587 for starttls, 465 for tls, 25 for none.")
    security: Literal["starttls", "tls", "none"] = Field(default="starttls", description="How the connection is encrypted.")
    username: str | None = Field(default=None, max_length=254, description="Account at the mail server; without one, none.")
    password: SecretStr | None = Field(default=None, description="Its password.")
    sender: Address = Field(description="Address the messages come from.")
    to: tuple[Address, ...] = Field(min_length=1, max_length=50, description="Addresses they go to.")


class SmtpChannel(Channel):
    """E-mail through a mail server (SMTP). All about one alert has one conversation in the reader's mailbox."""

    kind = "email"
    options = SmtpOptions
    template: ClassVar = {
        "subject": "[{state}] {rule}: {summary}",
        "text": "{summary}\n\n{description}\n\nState:  {state} since {since}\nLevel:  {level}\n"
        "Rule:   {rule} (version {rule_version})\nLabels: {labels}\nValues: {values}\nAgain:  {occasion}\n\n"
        "Alert:  {link}\nWhy:    {why}",
    }

    def __init__(self, options: SmtpOptions, outgoing: Outgoing) -> None:
        self._options = options
        self._outgoing = outgoing

    @property
    def destination(self) -> str:
        return f"{self._options.host}:{self._options.port}"

    def check(self) -> None:
        options = self._options
        self._outgoing.destinations.check_host(options.host, field="settings.host")
        if (options.username is None) != (options.password is None):
            raise Invalid("username and password belong together", field="settings.password")
        if options.password is not None and options.security == "none":
            raise Invalid("a password is sent only encrypted; choose starttls or tls", field="settings.security")

    async def send(self, message: Message) -> str:
        options = self._options
        client = aiosmtplib.SMTP(
            hostname=options.host,
            timeout=self._outgoing.timeout_s,
            use_tls=options.security == "tls",
            start_tls=options.security == "starttls",
            tls_context=tls_context() if options.security != "none" else None,
            sock=await self._connect(),
        )
        try:
            await client.connect()
            if options.username is not None and options.password is not None:
                await client.login(options.username, options.password.get_secret_value())
            return await self._submit(client, message)
        except aiosmtplib.SMTPResponseException as answer:
            raise _judged(options.host, answer) from answer
        except (aiosmtplib.SMTPException, OSError) as away:
            raise Unavailable(f"{options.host} cannot be used: {_said(str(away.__cause__ or away))}", retry_after_s=0) from away
        finally:
            if isinstance(client.transport, asyncio.Transport):
                client.transport.write(b"QUIT\r\n")  # nobody waits for the answer: the message is taken or it is not
            client.close()

    async def _connect(self) -> socket.socket:
        options, loop = self._options, asyncio.get_running_loop()
        address = await self._outgoing.destinations.find(options.host, options.port)
        connection = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        connection.setblocking(False)
        try:
            async with asyncio.timeout(self._outgoing.timeout_s):
                await loop.sock_connect(connection, (address, options.port))
        except OSError as away:
            connection.close()
            why = "no answer" if isinstance(away, TimeoutError) else away.strerror or type(away).__name__
            raise Unavailable(f"{options.host}:{options.port} cannot be reached: {why}", retry_after_s=0) from away
        except BaseException:
            connection.close()
            raise
        return connection

    async def _submit(self, client: aiosmtplib.SMTP, message: Message) -> str:
        """One transaction. Nothing is sent while a recipient may yet be taken later, unless that took too long."""
        refused: dict[str, aiosmtplib.SMTPResponseException] = {}
        await client.mail(self._options.sender)
        for recipient in self._options.to:
            try:
                await client.rcpt(recipient)
            except aiosmtplib.SMTPRecipientRefused as no:
                refused[recipient] = no
        later = [no for no in refused.values() if _is_for_the_moment(no)]
        if later and (message.attempt <= _PATIENT_ATTEMPTS or len(refused) == len(self._options.to)):
            raise later[0]
        if len(refused) == len(self._options.to):
            raise next(iter(refused.values()))
        code, said = await client.data(self._letter(message))
        without = "; ".join(f"not to {who}: {no.code} {_said(no.message)}" for who, no in refused.items())
        return f"{code} {_said(said)}" + (f" ({without})" if without else "")

    def _letter(self, message: Message) -> bytes:
        domain = self._options.sender.rpartition("@")[2]
        letter = EmailMessage(policy=SMTP)
        letter["From"] = self._options.sender
        letter["To"] = ", ".join(self._options.to)
        letter["Subject"] = one_line(message.headline("subject"), _SUBJECT_CHARS)
        letter["Date"] = format_datetime(to_datetime(message.at_us))
        letter["Message-ID"] = f"<{message.key}@{domain}>"
        letter["References"] = f"<{_identifier(message.topic)}.alert@{domain}>"
        letter["In-Reply-To"] = letter["References"]
        letter["Auto-Submitted"] = "auto-generated"
        letter["X-Weft-Key"] = message.key
        letter.set_content(_BETWEEN.join(texts["text"] for texts in message.texts) + "\n", cte="quoted-printable")
        return letter.as_bytes()


def _judged(host: str, answer: aiosmtplib.SMTPResponseException) -> Refused | Unavailable:
    said = f"{host} answered {answer.code} {_said(answer.message)}"
    return Unavailable(said, retry_after_s=0) if _is_for_the_moment(answer) else Refused(said)


def _is_for_the_moment(answer: aiosmtplib.SMTPResponseException) -> bool:
    """Whether the server may say yes another time: 4yz, or no sensible code at all."""
    return not 500 <= answer.code < 600


def _said(text: str) -> str:
    return one_line(text, _SAID_CHARS)


def _identifier(text: str) -> str:
    return "".join(char if char.isascii() and (char.isalnum() or char in "-_.") else "_" for char in text)[:128]
