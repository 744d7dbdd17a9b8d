"""What the REST API is sent. Unknown fields are refused; sizes are bounded."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from outdial.domain.errors import InvalidInput
from outdial.domain.phone_number import parse_phone
from outdial.operations.check_lead import RawContact, RawLead
from outdial.operations.check_text import unstorable, unstorable_in


def _storable(text: str) -> str:
    if reason := unstorable(text):
        raise ValueError(reason)
    return text


def _number(text: str) -> str:
    try:
        return parse_phone(text)
    except InvalidInput as error:
        raise ValueError(str(error)) from None


def _unnull(text: str) -> str:
    return _storable(text.strip())


Text = Annotated[str, Field(max_length=500), AfterValidator(_storable)]
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_unnull)]
Phone = Annotated[
    str,
    Field(max_length=64, description="With its country, like +12125550100.",
          examples=["+12125550100"]),
    AfterValidator(_number),
]  # fmt: skip
Slug = Annotated[str, Field(max_length=64, pattern=r"^[a-z0-9][a-z0-9_-]*$")]
Scalar = str | int | float | bool | None


class Request(BaseModel):
    """No unknown fields."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class NewContact(Request):
    """One person and number."""

    phone: Phone
    name: Text | None = None
    timezone: Text | None = Field(default=None, examples=["America/New_York"])


class NewCall(Request):
    """One call."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "to_number": "+12125550100",
                    "template": "appointment-reminder",
                    "name": "Maria Lopez",
                    "variables": {
                        "clinic": "Lakeside Clinic",
                        "appointment": "Tuesday at ten thirty",
                    },
                }
            ]
        }
    )

    to_number: Phone | None = None
    from_number: Phone | None = Field(default=None, description="None: one of your numbers.")
    name: Text | None = None
    timezone: Text | None = None
    contacts: list[NewContact] | None = Field(default=None, min_length=1, max_length=10)
    template: Slug = "default"
    template_version: int | None = Field(default=None, ge=1, le=2**31 - 1)
    variables: dict[str, Scalar] = Field(default_factory=dict)
    external_id: Text | None = None
    branch_key: Text | None = None
    not_before: datetime | None = None
    expires_at: datetime | None = None

    @model_validator(mode="after")
    def _has_a_number(self) -> "NewCall":
        if (self.to_number is None) == (self.contacts is None):
            raise ValueError("give to_number, or a list of contacts")
        return self

    def as_raw(self) -> RawLead:
        """As an import would read it."""
        contacts: tuple[RawContact, ...]
        if self.contacts is None:
            first = {"phone": self.to_number, "name": self.name, "timezone": self.timezone}
            labels = {"phone": "to_number", "name": "name", "timezone": "timezone"}
            contacts = (RawContact(first, labels),)
        else:
            contacts = tuple(
                RawContact(
                    contact.model_dump(),
                    {key: f"contacts.{n}.{key}" for key in ("phone", "name", "timezone")},
                )
                for n, contact in enumerate(self.contacts)
            )
        fields: dict[str, object] = {
            "from_number": self.from_number,
            "external_id": self.external_id,
            "branch_key": self.branch_key,
            "not_before": self.not_before.isoformat() if self.not_before else None,
            "expires_at": self.expires_at.isoformat() if self.expires_at else None,
        }
        return RawLead(0, contacts, fields, self.variables)


class Dialout(Request):
    """The short way to one call, with the template `default`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"to_number": "+12125550100", "from_number": "+14155550199"}]
        }
    )

    to_number: Phone
    from_number: Phone | None = None

    def as_call(self) -> NewCall:
        """The same as a call."""
        return NewCall(to_number=self.to_number, from_number=self.from_number)


def _json_object(value: dict[str, Any]) -> dict[str, Any]:
    if unstorable_in(value):
        raise ValueError("holds a character that is no text")
    return value


class NewCampaign(Request):
    """A template applied to many leads."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "reminders-november", "template": "appointment-reminder"}]
        }
    )

    name: Name
    template: Slug
    template_version: int | None = Field(default=None, ge=1, le=2**31 - 1)
    caller_numbers: list[Phone] = Field(default_factory=list, max_length=1000)
    hours: dict[str, Any] | None = Field(
        default=None,
        description="As in a template; null: the template's.",
        examples=[{"weekdays": {"mon": ["09:00-17:00"]}}],
    )
    max_live_calls: int | None = Field(default=None, ge=1, le=100_000)
    start: bool = Field(default=False, description="Start at once.")


class CampaignChanges(Request):
    """What is given is changed; `null` takes a value away."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"max_live_calls": 20}]})

    name: Name | None = None
    caller_numbers: list[Phone] | None = Field(default=None, max_length=1000)
    hours: dict[str, Any] | None = None
    max_live_calls: int | None = Field(default=None, ge=1, le=100_000)


class LeadChanges(Request):
    """What is given is changed; `null` takes a time away."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"held": True}]})

    held: bool | None = Field(default=None, description="A held lead is not called.")
    variables: dict[str, Scalar] | None = Field(
        default=None, description="Added to those it has; null takes one away."
    )
    not_before: datetime | None = None
    expires_at: datetime | None = None


class NewNumber(Request):
    """A number that calls may come from."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"phone": "+14155550199", "label": "Main"}]}
    )

    phone: Phone
    label: Text | None = None


class NewSuppression(Request):
    """A number that nobody may call."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"phone": "+12125550113", "reason": "asked by e-mail"}]}
    )

    phone: Phone
    reason: Name = "asked"


class NewKey(Request):
    """An API key."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "reporting", "role": "viewer"}]}
    )

    name: Name
    role: Literal["viewer", "operator", "admin"] = "operator"
