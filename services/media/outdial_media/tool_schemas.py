"""The tools of a call, as Pipecat offers them to the model."""

from pipecat.adapters.llm.schemas.function_schema import FunctionSchema

from outdial.domain.call_template import CallTemplate
from outdial.operations.tool_arguments import tool_definitions


def tool_schemas(template: CallTemplate) -> list[FunctionSchema]:
    """What the model is offered."""
    return [
        FunctionSchema(
            name=tool.name,
            description=tool.description,
            properties=tool.properties,
            required=tool.required,
        )
        for tool in tool_definitions(template)
    ]
