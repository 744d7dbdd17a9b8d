"""Lists as tables for people, and as JSON for machines."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table

from outdial_cli.output import out, print_json


def show_rows(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool, none: str
) -> None:
    """Print `columns` of each row; `none` is said when there is nothing."""
    found = list(rows)
    if as_json:
        print_json(found)
        return
    if not found:
        out.print(none, markup=False)
        return
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in found:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    out.print(table)


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return str(value)
