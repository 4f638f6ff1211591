"""The secrets of an installation: found, made or refused at start, and the cipher for values at rest.

In development a missing secret is made in the data folder, readable by its owner alone. Everywhere else a missing, short or
sample secret stops the start with a sentence that names the variable.
"""

import contextlib
import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from weft.auth.settings import AuthSettings
from weft.core.errors import Corrupt, Invalid

MIN_BYTES: Final = 32
MASK: Final = "****"

_VARIABLE: Final = "WEFT_AUTH__SECRET_KEY"
_MAKE_ONE: Final = "make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
_SAMPLES: Final = (
    "changeme", "changethis", "changeit", "yoursecret", "yourjwtsecret", "yoursupersecret", "yourproductionsecret", "yourkey",
    "supersecret", "mysecret", "secretkeyhere", "keyhere", "secrethere", "replaceme", "replacethis", "placeholder", "insecure",
    "example", "sample", "default", "donotuse", "notsecure", "notsosecret", "devsecret", "developmentsecret", "testsecret",
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
)  # fmt: skip
_FEW_CHARACTERS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What this installation keeps to itself. `is_made` tells that the signing secret was made here, not given."""

    signing: bytes
    encryption: tuple[bytes, ...]
    is_made: bool

    def key_for(self, purpose: str) -> bytes:
        """A key of its own for each purpose, so that a token for one is never one for another."""
        return hmac.new(self.signing, f"weft:{purpose}".encode(), hashlib.sha256).digest()

    def __repr__(self) -> str:
        return f"Secrets({MASK})"


def load_secrets(settings: AuthSettings, folder: Path, *, environment: str) -> Secrets:
    """The secrets of this installation. Raises Invalid, naming the variable, where one is missing, short or a sample."""
    strict = environment != "development"
    given = _given(settings)
    if given is None and strict:
        raise Invalid(f"{_VARIABLE} is not set; {environment} needs a secret of its own; {_MAKE_ONE}", field="auth.secret_key")
    text = given if given is not None else read_or_make(folder / "signing.key", _new_signing)
    if strict:
        _refuse_weak(text)
    signing = text.encode()
    if settings.encryption_keys:
        encryption = tuple(key.get_secret_value().encode() for key in settings.encryption_keys)
    else:
        encryption = (read_or_make(folder / "encryption.key", _new_fernet).encode(),)
    Cipher(encryption)  # an unreadable key is found at start, not at the first secret
    return Secrets(signing=signing, encryption=encryption, is_made=given is None)


def find_weakness(secret: str) -> str | None:
    """Why a signing secret must not be used in earnest, or None."""
    if len(secret.encode()) < MIN_BYTES:
        return f"has {len(secret.encode())} bytes; it needs at least {MIN_BYTES}"
    plain = "".join(char for char in secret.casefold() if char.isalnum())
    if any(sample in plain for sample in _SAMPLES):
        return "is a sample value that everybody knows"
    if len(set(secret)) < _FEW_CHARACTERS:
        return f"uses only {len(set(secret))} different characters"
    return None


class Cipher:
    """Encrypts values at rest. The first key encrypts, every key decrypts, so a key is replaced without losing anything."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError as unreadable:
            raise Invalid(
                "WEFT_AUTH__ENCRYPTION_KEYS holds something that is no Fernet key (32 bytes, url-safe base64)",
                field="auth.encryption_keys",
            ) from unreadable

    def encrypt(self, value: str) -> str:
        """The value, unreadable without a key and protected against change."""
        return self._fernet.encrypt(value.encode()).decode()

    def decrypt(self, text: str) -> str:
        """The value again. Raises Corrupt where no key opens it or it was changed."""
        try:
            return self._fernet.decrypt(text.encode()).decode()
        except InvalidToken as unreadable:
            raise Corrupt(
                "a value at rest cannot be opened; its key is missing from WEFT_AUTH__ENCRYPTION_KEYS"
            ) from unreadable

    def rotate(self, text: str) -> str:
        """The same value under the newest key. Raises Corrupt like `decrypt`."""
        try:
            return self._fernet.rotate(text.encode()).decode()
        except InvalidToken as unreadable:
            raise Corrupt(
                "a value at rest cannot be opened; its key is missing from WEFT_AUTH__ENCRYPTION_KEYS"
            ) from unreadable


def mask(value: str | None) -> str | None:
    """What is shown instead of a secret: that there is one."""
    return MASK if value else value


def read_or_make(path: Path, make: Callable[[], str]) -> str:
    """The secret in a file, made by whichever process comes first. The file appears whole or not at all.

    Only its owner may read it. Raises Invalid where it cannot be read or made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(make())
                file.flush()
                os.fsync(file.fileno())
            try:
                with contextlib.suppress(FileExistsError):
                    os.link(draft, path)  # unlike a rename it never replaces what another process just made
            finally:
                draft.unlink()
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            path.chmod(0o600)
        return path.read_text(encoding="utf-8").strip()
    except OSError as failure:
        raise Invalid(f"the secret {path} cannot be read or made: {failure}", field="app.data_dir") from failure


def _given(settings: AuthSettings) -> str | None:
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value()
    if settings.secret_key_file is None:
        return None
    try:
        return settings.secret_key_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as unreadable:
        raise Invalid(
            f"WEFT_AUTH__SECRET_KEY_FILE names {settings.secret_key_file}, which cannot be read: {unreadable}",
            field="auth.secret_key_file",
        ) from unreadable


def _refuse_weak(text: str) -> None:
    if weakness := find_weakness(text):
        raise Invalid(f"{_VARIABLE} {weakness}; {_MAKE_ONE}", field="auth.secret_key")


def _new_signing() -> str:
    return secrets.token_urlsafe(48)


def _new_fernet() -> str:
    return Fernet.generate_key().decode()
