"""Secrets: made where that is safe, refused where it is not, never shown."""

import stat
import threading
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from weft.auth.secrets import Cipher, Secrets, find_weakness, load_secrets, mask
from weft.auth.settings import AuthSettings
from weft.core.errors import Corrupt, Invalid

STRONG = "kB3v-9dJq_w72hXz-PaLm40sTyUeRi1o"


def load(folder: Path, environment: str = "development", **settings: object) -> Secrets:
    return load_secrets(AuthSettings(**settings), folder, environment=environment)  # pyright: ignore[reportArgumentType]


@pytest.mark.contract("HC-S27", "SF-D8")
def test_development_makes_secrets_only_their_owner_can_read_and_keeps_them(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "secrets"
    first, second = load(folder), load(folder)
    assert first.is_made
    assert first.signing == second.signing
    assert first.encryption == second.encryption
    assert find_weakness(first.signing.decode()) is None
    assert {file.name for file in folder.iterdir()} == {"signing.key", "encryption.key"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_two_installations_have_nothing_in_common(tmp_path: Path) -> None:
    assert load(tmp_path / "a").signing != load(tmp_path / "b").signing


def test_a_secret_that_others_can_read_is_closed_to_them(tmp_path: Path) -> None:
    load(tmp_path)
    (tmp_path / "signing.key").chmod(0o644)
    load(tmp_path)
    assert stat.S_IMODE((tmp_path / "signing.key").stat().st_mode) == 0o600


def test_processes_that_start_at_once_agree_on_the_secret(tmp_path: Path) -> None:
    found: list[bytes] = []
    start = threading.Barrier(8)

    def begin() -> None:
        start.wait()
        found.append(load(tmp_path).signing)

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert sorted(file.name for file in tmp_path.iterdir()) == ["encryption.key", "signing.key"]


@pytest.mark.contract("SF-192", "SF-D8", "HC-S2")
@pytest.mark.parametrize("environment", ["production", "staging"])
@pytest.mark.parametrize(
    ("secret", "why"),
    [
        (None, "is not set"),
        ("", "0 bytes"),
        ("short-but-random-8f3kd", "22 bytes"),
        ("changeme" * 4, "sample"),
        ("your-secret-key-here-please-change-it", "sample"),
        ("CHANGE_ME_IN_PRODUCTION_0123456789abcdef", "sample"),
        ("your_super_secret_key_1234567890abcdef", "sample"),
        ("a" * 64, "different characters"),
        ("abababababababababababababababababab", "different characters"),
    ],
)
def test_outside_development_a_missing_short_or_sample_secret_stops_the_start(
    tmp_path: Path, environment: str, secret: str | None, why: str
) -> None:
    with pytest.raises(Invalid, match=why) as refused:
        load(tmp_path, environment, secret_key=secret)
    assert "WEFT_AUTH__SECRET_KEY" in refused.value.message
    assert "token_urlsafe" in refused.value.message
    assert not secret or secret not in refused.value.message
    assert not (tmp_path / "signing.key").exists()


def test_a_strong_secret_starts_from_a_setting_or_a_file(tmp_path: Path) -> None:
    assert load(tmp_path, "production", secret_key=STRONG).signing == STRONG.encode()
    file = tmp_path / "mounted"
    file.write_text(STRONG + "\n")
    assert load(tmp_path, "production", secret_key_file=file).signing == STRONG.encode()
    with pytest.raises(Invalid, match="WEFT_AUTH__SECRET_KEY_FILE"):
        load(tmp_path, "production", secret_key_file=tmp_path / "missing")


@pytest.mark.contract("HC-S29")
def test_nothing_prints_a_secret(tmp_path: Path) -> None:
    settings = AuthSettings(secret_key=STRONG, admin_password=STRONG, encryption_keys=(STRONG,))
    secrets = load(tmp_path, secret_key=STRONG)
    assert STRONG not in f"{settings!r} {settings} {settings.model_dump_json()} {secrets!r} {secrets}"
    assert mask("anything") == "****"
    assert (mask(None), mask("")) == (None, "")


def test_each_purpose_has_a_key_of_its_own(tmp_path: Path) -> None:
    secrets = load(tmp_path)
    keys = {secrets.key_for(purpose) for purpose in ("csrf", "verify", "reset")} | {secrets.signing}
    assert len(keys) == 4


@given(st.text())
def test_what_is_encrypted_comes_back_and_cannot_be_read(value: str) -> None:
    cipher = Cipher([Fernet.generate_key()])
    text = cipher.encrypt(value)
    assert cipher.decrypt(text) == value
    assert len(value) < 8 or value not in text


@pytest.mark.contract("SF-279", "SF-D48")
def test_a_key_is_replaced_without_losing_anything() -> None:
    old, new = Fernet.generate_key(), Fernet.generate_key()
    text = Cipher([old]).encrypt("p@ss")
    both = Cipher([new, old])
    assert both.decrypt(text) == "p@ss"
    moved = both.rotate(text)
    assert Cipher([new]).decrypt(moved) == "p@ss"
    with pytest.raises(Corrupt, match="ENCRYPTION_KEYS"):
        Cipher([new]).decrypt(text)


def test_a_value_that_was_changed_is_not_decrypted() -> None:
    cipher = Cipher([Fernet.generate_key()])
    text = cipher.encrypt("p@ss")
    middle = len(text) // 2
    changed = text[:middle] + ("A" if text[middle] != "A" else "B") + text[middle + 1 :]
    for wrong in [changed, text[:-4], "", "nonsense", "ä"]:
        with pytest.raises(Corrupt):
            cipher.decrypt(wrong)
        with pytest.raises(Corrupt):
            cipher.rotate(wrong)


def test_a_key_that_is_none_is_found_at_start(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="WEFT_AUTH__ENCRYPTION_KEYS"):
        load(tmp_path, encryption_keys=("nonsense",))
