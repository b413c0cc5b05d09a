"""`devenv trace`: one request followed layer by layer; the first layer that breaks is named.

`trace(...)` asks every layer (`devenv.layers`), judges (`devenv.judge`), and returns a Report. The body, beyond the
contract's keys, for those who render it:

    subject       {name, title, identifier, params: {name: text}, user: handle of who asks | null, said: [text]}
    started       ISO 8601 UTC, the beginning;  ms: the whole duration
    verdict       {status: ok|diverged|not_verified, layer, class, summary, cause, fix, also: [finding]}
                  fix is {text, command | null, safe} | null; all but status and also are null when status is ok
    layers[8]     in order, each:
      index (1..8), name, question, status
      began_ms, ms        from the beginning, for a waterfall; layers run in parallel
      request             {…} what went in, by layer: variables, SQL, keys, function and arguments, method and path
      output              {…} what came out besides entries: targets, versions, rows, plan, queries, status, log lines
      expected_count, observed_count     null: not captured, or nothing to compare with
      missing, extra      [ids];  reordered: bool
      changed             [{id, field, expected, observed}]: payload fields as `[12 characters]` unless show_payloads
      entries             [{id, fields: {name: text | null}}] | null, at most ENTRIES of them, payloads as above;
                          expected: the same for the layer before, where the two differ (for a side-by-side view)
      cost                {requests, scanned, returned, units, computed} | null; units are the store's own figure
      findings            [{layer, class, summary, cause, fix, subjects: [ids]}], the worst first
      unasked             why the layer was not asked, else null;  failure: {what, detail, cause, hint} | null
      notes               [text]: seen, but no fault

`output` by layer:
    environment   {process: {pid, folder, python, started} | null, targets: {store: {project, application, same}},
                   variables: [{name, value, note}]}
    services      {services: [{name, answers, detail}], tables: [{name, differences: [text]}]}
    postgres      {person: {column: text} | null, role, near: [text]}
    dynamodb      {found, items: [{key, kind, note}], owners: [ids], near: [text]}
    cross-store   {links: [{name, target, ids, faults}]}
    pattern       {declared: text, pages, stages: [{without, count}], plan: text | null}
    library       {function, outcome, queries: [{text, count, scanned, target, error}] | null, differs: text | null,
                   guards: [{function, outcome, detail}], corrected: {…} | null, said: [lines of output]}
    http          {answers: [{who, status, problem, media, size, pages, ms, cors, detail}], log: [lines] | null}
"""

from __future__ import annotations

from typing import Final

ENTRIES: Final = 500
