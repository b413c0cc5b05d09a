"""All forms of seed files, in the order in which a value is tried."""

from __future__ import annotations

from devenv.steps.seed.format import SeedFormat
from devenv.steps.seed.formats import answers, csv_rows, items, own, requests

FORMATS: tuple[SeedFormat, ...] = (requests.FORMAT, answers.FORMAT, own.FORMAT, items.FORMAT, csv_rows.FORMAT)
