"""The rules that a lead is called by: its campaign's, its template's and the deployment's."""

import json
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter

from outdial.domain.call_template import CallTemplate, Hours, Limits
from outdial.domain.caller_numbers import CallerRules
from outdial.domain.jurisdictions import limits_of
from outdial.domain.limits import strictest
from outdial.settings import Settings

_HOURS: TypeAdapter[Hours] = TypeAdapter(Hours)


@dataclass(frozen=True)
class CallingRules:
    """When a person may be called, and how often."""

    hours: Hours
    limits: Limits


def rules_of(
    settings: Settings, own: dict[str, Any] | None, template: CallTemplate
) -> CallingRules:
    """The campaign's own hours if it set some, else its template's; of all limits the strictest."""
    hours = template.hours if own is None else own_hours(own)
    ours = Limits(
        settings.max_attempts_per_day or None,
        settings.max_attempts_per_week or None,
        settings.rest_days_after_conversation or None,
    )
    limits = strictest([ours, template.limits, *limits_of(hours.jurisdictions)])
    return CallingRules(hours, limits)


def own_hours(hours: dict[str, Any]) -> Hours:
    """The hours that a campaign set for itself: they stand in the place of its templates'."""
    return _read(json.dumps(hours))


def caller_rules_of(settings: Settings) -> CallerRules:
    """How long a number of ours rests, and how many live calls it may have."""
    return CallerRules(
        timedelta(seconds=settings.caller_number_rest_seconds),
        settings.max_live_per_caller_number or None,
    )


@lru_cache(maxsize=256)
def _read(hours: str) -> Hours:
    return _HOURS.validate_json(hours)
