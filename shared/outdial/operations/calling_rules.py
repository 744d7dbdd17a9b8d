"""The rules that a lead is called by: its campaign's, its template's and the deployment's."""

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter

from outdial.domain.call_template import CallTemplate, Hours, Limits
from outdial.domain.caller_numbers import CallerRules
from outdial.domain.jurisdictions import limits_of
from outdial.domain.limits import strictest
from outdial.domain.recipient_state import BY_STATE, STATES, states_of
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


def rules_for(rules: CallingRules, phone: str, own_zone: str | None) -> CallingRules:
    """The rules for one number: with `us-by-state`, also those of every state it may be in."""
    if BY_STATE not in rules.hours.jurisdictions:
        return rules
    return _with(rules, states_of(phone, own_zone))


def rules_for_any(rules: CallingRules) -> CallingRules:
    """The strictest that `rules_for` may answer."""
    return _with(rules, tuple(STATES)) if BY_STATE in rules.hours.jurisdictions else rules


@lru_cache(maxsize=1024)
def _with(rules: CallingRules, states: tuple[str, ...]) -> CallingRules:
    hours = replace(rules.hours, jurisdictions=(*rules.hours.jurisdictions, *states))
    return CallingRules(hours, strictest([rules.limits, *limits_of(states)]))


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
