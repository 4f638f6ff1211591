"""The agencies of an installation, by the scheme whose names they register."""

from weft.db.database import Database
from weft.identifiers.datacite import DataCiteAgency
from weft.identifiers.handle import HandleAgency
from weft.identifiers.local import LocalAgency
from weft.identifiers.name import Scheme
from weft.identifiers.port import Agency
from weft.identifiers.settings import IdentifiersSettings
from weft.identifiers.where import Where


def open_agencies(settings: IdentifiersSettings, database: Database, where: Where) -> dict[Scheme, Agency]:
    """The local agency, and those of the schemes that have a prefix. Nothing is connected yet."""
    agencies: dict[Scheme, Agency] = {"ark": LocalAgency(database, where)}
    if settings.doi.prefix is not None:
        agencies["doi"] = DataCiteAgency(settings, where)
    if settings.handle.prefix is not None:
        agencies["handle"] = HandleAgency(settings, where)
    return agencies
