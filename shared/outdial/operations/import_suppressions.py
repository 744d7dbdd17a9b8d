"""Numbers that must not be called, from a file: a do-not-call list, or opt-outs of old."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from outdial.domain.attempt_state import StopReason
from outdial.domain.errors import FieldProblem, InvalidInput
from outdial.domain.phone_number import parse_phone
from outdial.operations.check_lead import RawLead
from outdial.operations.runtime import Runtime
from outdial.operations.stop_attempts import act_on, stop_attempts
from outdial.storage import attempts, locks, suppressions

BATCH = 500
"""Numbers locked together: dialing to one of them waits for so long at most."""

MOST_PROBLEMS = 1000
_LONGEST_REASON = 200


@dataclass
class ImportedSuppressions:
    """What became of the rows; `problems` holds the first of those that were refused."""

    added: int = 0
    known: int = 0
    refused: int = 0
    stopped: int = 0  # calls that were queued or going on
    problems: list[tuple[int, FieldProblem]] = field(default_factory=list)


async def import_suppressions(
    runtime: Runtime, rows: Iterable[RawLead], reason: str = "imported"
) -> ImportedSuppressions:
    """Suppress every number in `rows`, as they come; a column `reason` outranks `reason`.

    Each batch acts as soon as it is committed, as if each number were suppressed by itself. Again
    with the same file, nothing changes.
    """
    done = ImportedSuppressions()
    iterator = iter(rows)
    while batch := list(islice(iterator, BATCH)):
        await _suppress(runtime, dict(_numbers(batch, reason, done)), done)
    return done


def _numbers(
    batch: Iterable[RawLead], reason: str, done: ImportedSuppressions
) -> Iterator[tuple[str, str]]:
    for row in batch:
        try:
            yield from _number(row, reason)
        except InvalidInput as error:
            done.refused += 1
            problem = error.problems[0] if error.problems else FieldProblem("phone", str(error))
            if len(done.problems) < MOST_PROBLEMS:
                done.problems.append((row.row, problem))


def _number(row: RawLead, reason: str) -> Iterator[tuple[str, str]]:
    if row.problem is not None:
        raise InvalidInput(row.problem.message, [row.problem])
    if not row.contacts:
        raise InvalidInput("is empty")
    why = str(row.variables.get("reason") or reason)[:_LONGEST_REASON]
    for contact in row.contacts:
        yield parse_phone(str(contact.values.get("phone", ""))), why


async def _suppress(runtime: Runtime, reasons: dict[str, str], done: ImportedSuppressions) -> None:
    if not reasons:
        return
    async with runtime.sessions.begin() as session:
        await locks.lock_numbers(session, reasons)
        new = await suppressions.add_many(session, reasons, "import")
        live = await attempts.lock_live_of_number(session, *reasons)
        stopped = await stop_attempts(session, live, StopReason.OPTED_OUT)
    await act_on(runtime, stopped)
    done.added += len(new)
    done.known += len(reasons) - len(new)
    done.stopped += stopped.count
