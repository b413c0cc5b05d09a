"""The layers in the order in which they are shown and judged. A new layer is a file here and a line in this list."""

from __future__ import annotations

from typing import Final

from devenv.trace.layer import Layer
from devenv.trace.layers import (
    cache,
    cross_store,
    dynamodb,
    environment,
    http,
    library,
    pattern,
    postgres,
    services,
    stream,
)

LAYERS: Final[tuple[Layer, ...]] = (
    environment.LAYER,
    services.LAYER,
    postgres.LAYER,
    dynamodb.LAYER,
    cross_store.LAYER,
    stream.LAYER,
    pattern.LAYER,
    library.LAYER,
    cache.LAYER,
    http.LAYER,
)
