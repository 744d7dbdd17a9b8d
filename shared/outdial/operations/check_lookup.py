"""What must hold in a template's lookup."""

import re
from collections.abc import Iterator

from outdial.domain.call_template import CallTemplate, Lookup
from outdial.domain.errors import FieldProblem
from outdial.domain.lookup_answer import MAX_LENGTH
from outdial.operations.check_tools import request_problems

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


def lookup_problems(template: CallTemplate) -> Iterator[FieldProblem]:
    """Everything that does not hold, each with its path."""
    lookup = template.lookup
    if lookup == Lookup():
        return
    if not lookup.is_wanted:
        yield FieldProblem("lookup.http.url", "is missing: what should be asked?")
        return
    yield from request_problems(lookup.http, "lookup.http")
    if lookup.http.filler:
        yield FieldProblem("lookup.http.filler", "is heard by nobody: leave it out")
    if not lookup.variables and not lookup.do_not_call_if:
        yield FieldProblem("lookup.variables", "must name what is wanted of the answer")
    if len(lookup.variables) > 40:
        yield FieldProblem("lookup.variables", "must be 40 at most")
    yield from _variables(lookup)


def _variables(lookup: Lookup) -> Iterator[FieldProblem]:
    for name, path in lookup.variables.items():
        if not _VARIABLE.fullmatch(name):
            yield FieldProblem(f"lookup.variables.{name}", "must be of letters, digits and _")
        if not path.strip() or len(path) > 300:
            yield FieldProblem(f"lookup.variables.{name}", "must be a path like order.status")
        if lookup.on_failure == "call_anyway" and name not in lookup.defaults:
            yield FieldProblem(
                f"lookup.defaults.{name}",
                "is missing: without an answer it is said (or set on_failure: do_not_call)",
            )
    for name, value in lookup.defaults.items():
        if name not in lookup.variables:
            yield FieldProblem(f"lookup.defaults.{name}", "is none of lookup.variables")
        if len(str(value)) > MAX_LENGTH:
            yield FieldProblem(f"lookup.defaults.{name}", f"is longer than {MAX_LENGTH} characters")
