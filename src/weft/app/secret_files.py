"""The secrets of a data folder, made before the first start."""

from pathlib import Path

from weft.app.settings import Settings
from weft.audit.key import load_signing_key
from weft.auth.secrets import load_secrets


def make_secrets(settings: Settings) -> list[Path]:
    """Make what is missing; returns the files that are new. Raises Invalid like a start would."""
    folder = settings.app.data_dir / "secrets"
    before = set(folder.glob("*.key"))
    load_secrets(settings.auth, folder, environment=settings.app.environment)
    load_signing_key(settings.audit.key_file, folder)
    return sorted(set(folder.glob("*.key")) - before)
