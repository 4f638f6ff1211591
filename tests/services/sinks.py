"""Sinks on loopback that take what is sent and keep it: one for mail, one for HTTP. Each can be told what to answer, and can go
away and come back on its port."""

import asyncio
import json
import ssl
import warnings
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass
class Taken:
    """One request an HTTP sink took."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    """What an HTTP sink answers. `None` as status: nothing at all, the connection is closed."""

    status: int | None = 200
    body: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class HttpSink:
    """Takes every request. `answers` are given in turn, then `usual`."""

    taken: list[Taken] = field(default_factory=list)
    answers: deque[Answer] = field(default_factory=deque)
    usual: Answer = field(default_factory=Answer)
    silent: bool = False
    lag_s: float = 0.0
    tls: ssl.SSLContext | None = None
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0
    _server: asyncio.Server | None = None
    _open: dict[asyncio.StreamWriter, asyncio.Task[None]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def keys(self) -> list[str]:
        """The idempotency key of each request."""
        return [taken.headers["idempotency-key"] for taken in self.taken]

    async def start(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections from now on."""
        if self._server is not None:
            self._server.close()
            serving = list(self._open.values())
            for writer in list(self._open):
                writer.transport.abort()
            await asyncio.gather(*serving)
            await self._server.wait_closed()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open[writer] = cast("asyncio.Task[None]", asyncio.current_task())
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.taken.append(Taken(head[0].split(" ")[1], headers, body))
            self.arrived.set()
            if self.silent:
                await reader.read()
            await asyncio.sleep(self.lag_s)
            answer = self.answers.popleft() if self.answers else self.usual
            if answer.status is not None:
                lines = [f"HTTP/1.1 {answer.status} Said", f"Content-Length: {len(answer.body)}", "Connection: close"]
                lines += [f"{name}: {value}" for name, value in answer.headers.items()]
                writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + answer.body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            del self._open[writer]


@dataclass
class MailSink:
    """Takes every mail. `refusals` says what to answer to a recipient; `password`, if set, has to be given."""

    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    refusals: dict[str, str] = field(default_factory=dict)
    after_data: str | None = None
    password: str | None = None
    tls: ssl.SSLContext | None = None
    starttls: ssl.SSLContext | None = None
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0
    _server: asyncio.Server | None = None
    _sessions: list[SMTP] = field(default_factory=list)

    async def start(self) -> None:
        """Listen, on the same port as before."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._session, "127.0.0.1", self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections from now on."""
        if self._server is not None:
            self._server.close()
            conversations = [session._handler_coroutine for session in self._sessions if session._handler_coroutine is not None]
            for conversation in conversations:
                conversation.cancel()
            for session in self._sessions:
                if session.transport is not None:
                    session.transport.abort()
            await asyncio.gather(*conversations, return_exceptions=True)
            self._sessions.clear()
            await self._server.wait_closed()
            self._server = None

    def _session(self) -> SMTP:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # that a password without encryption is dangerous; there is none worth anything here
            session = SMTP(
                self,
                hostname="sink.test",
                auth_required=self.password is not None,
                auth_require_tls=False,
                tls_context=self.starttls,
                require_starttls=self.starttls is not None,
                authenticator=self._authenticate if self.password is not None else None,
            )
        self._sessions.append(session)
        return session

    def _authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: Any) -> AuthResult:
        good = isinstance(given, LoginPassword) and given.password.decode() == self.password
        return AuthResult(success=good, handled=good)

    async def handle_RCPT(  # noqa: N802 - the name aiosmtpd calls
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        if self.after_data is not None:
            return self.after_data
        content = cast("bytes", envelope.content)
        self.mails.append(cast("EmailMessage", message_from_bytes(content, policy=policy.default)))
        self.recipients.append(list(envelope.rcpt_tos))
        self.arrived.set()
        return f"250 taken as {len(self.mails)}"


@asynccontextmanager
async def listening(sink: HttpSink | MailSink) -> AsyncIterator[None]:
    """The sink is there while the block runs, unless the block stops it."""
    await sink.start()
    try:
        yield
    finally:
        await sink.stop()
