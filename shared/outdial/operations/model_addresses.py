"""Where models are asked: Groq, and the APIs that the operator has named. Addresses and keys only.

A template names an endpoint, never an address or a key: `OUTDIAL_MODEL_ENDPOINTS` has the
addresses of OpenAI-compatible APIs, `OUTDIAL_MODEL_KEY_<NAME>` their keys.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from outdial.domain.call_template import ServiceChoice, Voice
from outdial.settings import Settings, read_endpoints


@dataclass(frozen=True)
class ModelAddress:
    """An OpenAI-compatible API; `key` is empty for one that asks for none."""

    url: str
    key: str = field(repr=False)


@dataclass(frozen=True)
class ModelThere:
    """A model, and where it is asked."""

    model: str
    address: ModelAddress


def model_addresses(
    settings: Settings, environment: Mapping[str, str] = os.environ
) -> dict[str, ModelAddress]:
    """By the name that templates use; the empty name is Groq's."""
    groq = ModelAddress(
        f"{settings.groq_base_url}/openai/v1", settings.groq_api_key.get_secret_value()
    )
    found = {"": groq}
    for name, url in read_endpoints(settings.model_endpoints).items():
        variable = f"OUTDIAL_MODEL_KEY_{name.upper().replace('-', '_')}"
        found[name] = ModelAddress(url.rstrip("/"), environment.get(variable, ""))
    return found


def models_without_pipecat(
    voice: Voice, settings: Settings, environment: Mapping[str, str] = os.environ
) -> list[ModelThere]:
    """The models of a call that a process without Pipecat can ask, in the order of the pod's route.

    Services of Pipecat and names that are not set here are left out, and Groq without a key; Groq's
    default model stands last when it is not there already.
    """
    known = model_addresses(settings, environment)
    named = [
        (voice.llm or settings.groq_model, voice.llm_service),
        (voice.second_llm, voice.second_llm_service),
        (settings.groq_model, ""),
    ]
    found: list[ModelThere] = []
    for model, service in named:
        address = known.get(service)
        if not model or isinstance(model, ServiceChoice) or address is None:
            continue
        there = ModelThere(model, address)
        if (service or address.key) and there not in found:
            found.append(there)
    return found
