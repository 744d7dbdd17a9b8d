"""What the agent says when neither template nor model has said it. English where a language lacks.

A template's language is a BCP 47 tag; its first part decides.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Phrases:
    """The fixed sentences of one language."""

    goodbye: str
    opted_out: str
    wrong_person: str
    longest_call: str
    trouble: str
    resumed: str
    nobody_came: str  # the human to whom the call was put through
    fillers: tuple[str, ...]  # one after the other, while an answer takes its time
    transfer: str
    cannot_do: str


_ENGLISH = Phrases(
    goodbye="Thank you. Goodbye.",
    opted_out="I understand. We will not call you again. Goodbye.",
    wrong_person="I'm sorry for the mix-up. Goodbye.",
    longest_call="I'm sorry, I have to end our call here. Goodbye.",
    trouble="I'm sorry, I have a technical problem. I will try again later. Goodbye.",
    resumed="I'm sorry, we were interrupted for a moment. I'm here again.",
    nobody_came="I'm sorry, nobody is free right now. I'm still here. What can I do for you?",
    fillers=("One moment, please.", "I'm still here. Just a moment.", "It takes a little longer."),
    transfer="One moment please, I will connect you.",
    cannot_do="I'm sorry, I cannot do that right now. Is there anything else?",
)
_PHRASES: dict[str, Phrases] = {
    "en": _ENGLISH,
    "de": Phrases(
        goodbye="Vielen Dank. Auf Wiederhören.",
        opted_out="Ich verstehe. Wir rufen Sie nicht mehr an. Auf Wiederhören.",
        wrong_person="Entschuldigen Sie die Verwechslung. Auf Wiederhören.",
        longest_call="Es tut mir leid, ich muss unser Gespräch hier beenden. Auf Wiederhören.",
        trouble="Es tut mir leid, ich habe ein technisches Problem. Ich versuche es später noch "
        "einmal. Auf Wiederhören.",
        resumed="Entschuldigung, wir waren kurz unterbrochen. Ich bin wieder da.",
        nobody_came="Es tut mir leid, gerade ist niemand frei. Ich bin noch da. Was kann ich für "
        "Sie tun?",
        fillers=(
            "Einen Moment, bitte.",
            "Ich bin noch da. Einen Augenblick.",
            "Es dauert noch etwas.",
        ),
        transfer="Einen Moment bitte, ich verbinde Sie.",
        cannot_do="Es tut mir leid, das kann ich gerade nicht tun. Kann ich sonst helfen?",
    ),
    "es": Phrases(
        goodbye="Muchas gracias. Adiós.",
        opted_out="Entendido. No le volveremos a llamar. Adiós.",
        wrong_person="Disculpe la confusión. Adiós.",
        longest_call="Lo siento, tengo que terminar la llamada aquí. Adiós.",
        trouble="Lo siento, tengo un problema técnico. Lo intentaré más tarde. Adiós.",
        resumed="Disculpe, se cortó un momento. Aquí estoy de nuevo.",
        nobody_came="Lo siento, ahora no hay nadie libre. Sigo aquí. ¿Qué puedo hacer por usted?",
        fillers=("Un momento, por favor.", "Sigo aquí. Un momento.", "Tarda un poco más."),
        transfer="Un momento, por favor, le comunico.",
        cannot_do="Lo siento, ahora no puedo hacerlo. ¿Algo más en que pueda ayudarle?",
    ),
}


def phrases_for(language: str) -> Phrases:
    """The sentences of a template's language."""
    return _PHRASES.get(language.partition("-")[0].lower(), _ENGLISH)
