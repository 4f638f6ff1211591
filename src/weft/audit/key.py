"""The keys of the roots: Ed25519, the private half among the secrets of the installation, the public half for everybody."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from weft.audit.entry import Root
from weft.auth.secrets import read_or_make
from weft.core.errors import Invalid

FILE: Final = "audit.key"


class SigningKey:
    """The private half."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(key.public_key())

    def sign(self, root: Root) -> Root:
        """The root with its signature, in hexadecimal digits, and the id of this key."""
        named = msgspec.structs.replace(root, key_id=self.public.id)
        return msgspec.structs.replace(named, signature=self._key.sign(named.statement()).hex())


class PublicKey:
    """The public half. `id` is the beginning of the SHA-256 of its 32 bytes."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key
        self.id = hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]

    def pem(self) -> str:
        """As text that every tool for keys can read."""
        return self._key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def has_signed(self, root: Root) -> bool:
        """Whether the signature is one of this key over exactly this root."""
        try:
            self._key.verify(bytes.fromhex(root.signature), root.statement())
        except (InvalidSignature, ValueError):
            return False
        return True


def load_signing_key(given: Path | None, folder: Path) -> SigningKey:
    """The key in the file that is given, else the one in the folder of secrets, made there by whoever comes first.

    Raises Invalid where it cannot be read or is no Ed25519 key.
    """
    text = _read(given) if given is not None else read_or_make(folder / FILE, _new_key)
    return _signing_key(text, given or folder / FILE)


def find_public_key(given: Path | None, folder: Path) -> PublicKey | None:
    """The public half of the key `load_signing_key` would load, or None where there is none yet; makes nothing."""
    path = given or folder / FILE
    return _signing_key(_read(path), path).public if given is not None or path.exists() else None


def read_public_keys(paths: Sequence[Path]) -> list[PublicKey]:
    """Public keys from PEM files. Raises Invalid, naming the file."""
    return [_public_key(path) for path in paths]


def _signing_key(text: str, path: Path) -> SigningKey:
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as unreadable:
        raise Invalid(f"{path} holds no private key in PEM: {unreadable}", field="audit.key_file") from unreadable
    if not isinstance(key, Ed25519PrivateKey):
        raise Invalid(f"{path} holds a private key that is not Ed25519", field="audit.key_file")
    return SigningKey(key)


def _public_key(path: Path) -> PublicKey:
    try:
        key = load_pem_public_key(_read(path).encode())
    except (ValueError, UnsupportedAlgorithm) as unreadable:
        raise Invalid(f"{path} holds no public key in PEM; `weft audit key` prints it", field="key") from unreadable
    if not isinstance(key, Ed25519PublicKey):
        raise Invalid(f"{path} holds a public key that is not Ed25519", field="key")
    return PublicKey(key)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as unreadable:
        raise Invalid(f"the key {path} cannot be read: {unreadable}", field="audit.key_file") from unreadable


def _new_key() -> str:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
