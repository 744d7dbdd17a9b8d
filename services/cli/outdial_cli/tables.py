"""Lists as tables for people, and as JSON for machines."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from outdial_cli.output import out, print_json

_WIDEST = 1000
_FRACTION = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d+")


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
    # As wide as it is: an id that is cut to fit the window cannot be typed into the next command.
    wide = Measurement.get(out, out.options.update(max_width=_WIDEST), table).maximum
    Console(width=max(wide, out.width), soft_wrap=True).print(table)


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return _FRACTION.sub(r"\1", str(value))
