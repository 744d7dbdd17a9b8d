"""Write a template's next version."""

from outdial.domain.call_template import Agent, CallTemplate
from outdial.operations.parse_template import body_of
from outdial.operations.runtime import Runtime
from outdial.storage import numbers, templates
from outdial.storage.tables import Template

DEFAULT_SLUG = "default"

DEFAULT_TEMPLATE = CallTemplate(
    slug=DEFAULT_SLUG,
    agent=Agent(
        name="Ada",
        greeting="Hello, this is Ada, an automated assistant. Do you have a moment?",
        prompt=(
            "You are Ada, a polite AI assistant on a phone call. Ask the person how you can help, "
            "listen, and answer briefly: one or two short sentences a turn. Say that you are an AI "
            "when asked. Promise nothing and invent nothing; offer to pass a message on. "
            "If you reach somebody else, use wrong_person. If the person asks not to be called "
            "again, use opt_out at once. If they ask to be called at another time, use "
            "schedule_callback. When the person has said what they want, record it with "
            "record_outcome, say goodbye and use end_call."
        ),
    ),
    outcome_schema={
        "type": "object",
        "properties": {
            "summary": {
                "type": "string",
                "maxLength": 500,
                "description": "What the person wants, in a sentence.",
            }
        },
        "required": ["summary"],
        "additionalProperties": False,
    },
)
"""What `POST /dialout` uses until somebody writes a template of the same slug."""


async def create_template(runtime: Runtime, template: CallTemplate) -> Template:
    """Write a version; the same body as the newest one's is that version again."""
    async with runtime.sessions.begin() as session:
        return await templates.add(session, template.slug, body_of(template))


async def prepare_deployment(runtime: Runtime) -> None:
    """What every deployment has from its first start: the default template, and its own number."""
    async with runtime.sessions.begin() as session:
        if await templates.latest(session, DEFAULT_SLUG) is None:
            await templates.add(session, DEFAULT_SLUG, body_of(DEFAULT_TEMPLATE))
        if runtime.settings.twilio_phone_number:
            await numbers.add(session, runtime.settings.twilio_phone_number, "TWILIO_PHONE_NUMBER")
