"""Names that `[cache.<name>]` uses: its subject, its Redis, and the placeholders of its key. See references.py."""

from __future__ import annotations

from collections.abc import Iterator

from devenv.config.cache import Cache
from devenv.config.places import Keys
from devenv.config.references import Mistake, known_places, unknown_name, unknown_places
from devenv.config.schema import Settings
from devenv.core.templates import names_in


def of_cache(settings: Settings, name: str, cache: Cache) -> Iterator[Mistake]:
    """One `[cache.<name>]`: its subject, its Redis, and the placeholders of its key."""
    place: Keys = ("cache", name)
    stores = [each for each, service in settings.services.items() if service.kind == "redis"]
    subject = cache.subject or name
    yield from unknown_name((*place, "subject") if cache.subject else place, "trace", subject, settings.trace)
    if cache.service:
        yield from unknown_name((*place, "service"), "redis service", cache.service, stores)
    elif len(stores) != 1:
        what = "several services have" if stores else "no [services.NAME] has"
        yield Mistake(place, f'needs `service`, because {what} kind = "redis"')
    if subject in settings.trace:
        yield from unknown_places((*place, "key"), names_in(cache.key), known_places(settings, settings.trace[subject]))
