"""`devenv ddb get|query|put|delete|export|import`: single items by key, and whole tables as lines."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from devenv.cli.options import Form, Yes, chosen, show, show_rows, stack

Keys = Annotated[
    list[str], typer.Argument(metavar="NAME=VALUE…", help="The names and values of the key attributes: pk=… sk=…")
]
Table = Annotated[str, typer.Argument(metavar="TABLE", help="The table's name.")]
Write = Annotated[bool, typer.Option("--write", help="Allow the change.")]


def ddb_get(table: Table, keys: Keys, form: Form = "table") -> None:
    """Show one item: devenv ddb get TABLE pk=… sk=…"""
    from devenv.query.items import get_item

    show_rows(get_item(stack(), table, keys), form)


def ddb_query(
    table: Table,
    keys: Keys,
    index: Annotated[str | None, typer.Option(metavar="NAME", help="Query an index of the table.")] = None,
    begins_with: Annotated[str | None, typer.Option(metavar="TEXT", help="The sort key begins with TEXT.")] = None,
    between: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="LOW HIGH", help="The sort key is between LOW and HIGH (both included)."),
    ] = None,
    newest: Annotated[bool, typer.Option("--newest", help="Sort by the sort key in descending order.")] = False,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Show at most N items.")] = 20,
    form: Form = "table",
) -> None:
    """Show the items of one partition: devenv ddb query TABLE pk=… --begins-with 2023"""
    from devenv.query.items import query_items

    report = query_items(
        stack(),
        table,
        keys,
        index=index,
        begins_with=begins_with,
        between=between or (),
        newest=newest,
        limit=limit,
    )
    show_rows(report, form)


def ddb_put(
    table: Table,
    item: Annotated[
        str, typer.Argument(metavar="JSON", help="The item, as DynamoDB JSON or plain JSON; - reads stdin.")
    ],
    replace: Annotated[bool, typer.Option("--replace", help="Replace an item with the same key.")] = False,
    write: Write = False,
) -> None:
    """Write one item; --replace replaces an existing one."""
    from devenv.query.items import put_item

    text = sys.stdin.read() if item == "-" else item
    show(put_item(stack(), table, text, replacing=replace, write=write))


def ddb_delete(table: Table, keys: Keys, write: Write = False) -> None:
    """Delete one item, and print it."""
    from devenv.query.items import delete_item

    show(delete_item(stack(), table, keys, write=write))


def ddb_export(
    table: Table,
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="A new file. Default: standard output.")] = None,
) -> None:
    """Write all items of a table as lines of DynamoDB JSON."""
    from devenv.query.items import export_items

    report = export_items(stack(), table, file)
    if file is None:
        if not chosen.quiet:
            typer.echo(report.body["summary"], err=True)
        raise typer.Exit
    show(report)


def ddb_import(
    table: Table,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file as `ddb export` writes it: one item per line.")],
    write: Write = False,
    yes: Yes = False,
) -> None:
    """Write the items of a file into a table; items with the same key are replaced."""
    from devenv.query.items import import_items

    show(import_items(stack(), table, file, write=write))
