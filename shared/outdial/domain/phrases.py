"""What is said when neither template nor model has said it, in every language of a call.

The first part of a template's language (a BCP 47 tag) decides; `multi` is English here. Pods say
most of it; `hold` and `unable` are the carrier's, when no pod speaks.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Phrases:
    """The fixed sentences of one language. They are said to somebody unknown: polite, no gender."""

    name: str  # of the language, in English, for the model
    yes: str  # a variable that is true
    no: str
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
    hold: str  # no pod has room yet
    unable: str  # none will have, and the lead is tried again
    idle_prompts: tuple[str, ...]  # into silence, where the template has none of its own
    idle_goodbye: str


_ENGLISH = Phrases(
    name="English",
    yes="yes",
    no="no",
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
    hold="One moment, please.",
    unable="I'm sorry, we cannot talk right now. We will call you again. Goodbye.",
    idle_prompts=("Hello? Are you still there?", "I can't hear you."),
    idle_goodbye="I'll try again another time. Goodbye.",
)
_GERMAN = Phrases(
    name="German",
    yes="ja",
    no="nein",
    goodbye="Vielen Dank. Auf Wiederhören.",
    opted_out="Ich verstehe. Wir rufen Sie nicht mehr an. Auf Wiederhören.",
    wrong_person="Entschuldigen Sie die Verwechslung. Auf Wiederhören.",
    longest_call="Es tut mir leid, ich muss unser Gespräch hier beenden. Auf Wiederhören.",
    trouble="Es tut mir leid, ich habe ein technisches Problem. Ich versuche es später noch "
    "einmal. Auf Wiederhören.",
    resumed="Entschuldigung, wir waren kurz unterbrochen. Ich bin wieder da.",
    nobody_came="Es tut mir leid, gerade ist niemand frei. Ich bin noch da. Was kann ich für Sie "
    "tun?",
    fillers=("Einen Moment, bitte.", "Ich bin noch da. Einen Augenblick.", "Es dauert noch etwas."),
    transfer="Einen Moment bitte, ich verbinde Sie.",
    cannot_do="Es tut mir leid, das kann ich gerade nicht tun. Kann ich sonst helfen?",
    hold="Einen Moment, bitte.",
    unable="Es tut mir leid, wir können gerade nicht sprechen. Wir rufen Sie noch einmal an. Auf "
    "Wiederhören.",
    idle_prompts=("Hallo? Sind Sie noch da?", "Ich kann Sie nicht hören."),
    idle_goodbye="Ich versuche es ein andermal. Auf Wiederhören.",
)
_SPANISH = Phrases(
    name="Spanish",
    yes="sí",
    no="no",
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
    hold="Un momento, por favor.",
    unable="Lo siento, ahora no podemos hablar. Volveremos a llamarle. Adiós.",
    idle_prompts=("¿Hola? ¿Sigue ahí?", "No le oigo."),
    idle_goodbye="Lo intentaré en otro momento. Adiós.",
)
_FRENCH = Phrases(
    name="French",
    yes="oui",
    no="non",
    goodbye="Merci beaucoup. Au revoir.",
    opted_out="C'est bien compris. Nous ne vous appellerons plus. Au revoir.",
    wrong_person="Veuillez m'excuser pour cette erreur. Au revoir.",
    longest_call="Je regrette, je dois mettre fin à notre appel maintenant. Au revoir.",
    trouble="Veuillez m'excuser, j'ai un problème technique. Je vous rappellerai plus tard. Au "
    "revoir.",
    resumed="Veuillez m'excuser, nous avons été coupés un instant. Je suis de nouveau là.",
    nobody_came="Je regrette, personne n'est disponible pour le moment. Je suis toujours là. Que "
    "puis-je faire pour vous ?",
    fillers=(
        "Un instant, s'il vous plaît.",
        "Je suis toujours là. Encore un instant.",
        "Cela prend un peu plus de temps.",
    ),
    transfer="Un instant, s'il vous plaît, je vous mets en relation.",
    cannot_do="Je regrette, je ne peux pas le faire pour le moment. Puis-je vous aider autrement ?",
    hold="Un instant, s'il vous plaît.",
    unable="Veuillez nous excuser, nous ne pouvons pas vous parler pour le moment. Nous vous "
    "rappellerons. Au revoir.",
    idle_prompts=("Allô ? Vous êtes toujours là ?", "Je ne vous entends pas."),
    idle_goodbye="J'essaierai une autre fois. Au revoir.",
)
_ITALIAN = Phrases(
    name="Italian",
    yes="sì",
    no="no",
    goodbye="Grazie mille. Arrivederci.",
    opted_out="Ho capito. Non la chiameremo più. Arrivederci.",
    wrong_person="Mi scusi per l'errore. Arrivederci.",
    longest_call="Mi dispiace, devo concludere qui la chiamata. Arrivederci.",
    trouble="Mi scusi, ho un problema tecnico. Riproverò più tardi. Arrivederci.",
    resumed="Mi scusi, è caduta la linea per un attimo. Sono di nuovo qui.",
    nobody_came="Mi dispiace, in questo momento non c'è nessuno disponibile. Sono ancora qui. "
    "Come posso aiutarla?",
    fillers=("Un momento, per favore.", "Sono ancora qui. Un attimo.", "Ci vuole ancora un po'."),
    transfer="Un momento, per favore, le passo un operatore.",
    cannot_do="Mi dispiace, in questo momento non posso farlo. Posso aiutarla in altro modo?",
    hold="Un momento, per favore.",
    unable="Mi dispiace, al momento non possiamo parlare con lei. La richiameremo. Arrivederci.",
    idle_prompts=("Pronto? È ancora in linea?", "Non la sento."),
    idle_goodbye="Riproverò un'altra volta. Arrivederci.",
)
_PORTUGUESE = Phrases(  # of Brazil and of Portugal
    name="Portuguese",
    yes="sim",
    no="não",
    goodbye="Agradeço a sua atenção. Até logo.",
    opted_out="Entendido. Não voltaremos a ligar. Até logo.",
    wrong_person="Desculpe o engano. Até logo.",
    longest_call="Lamento, tenho de encerrar a chamada aqui. Até logo.",
    trouble="Desculpe, estou com um problema técnico. Voltarei a ligar mais tarde. Até logo.",
    resumed="Desculpe, a ligação caiu por um momento. Já estou de volta.",
    nobody_came="Lamento, neste momento não há ninguém disponível. Continuo aqui. Em que posso "
    "ajudar?",
    fillers=("Um momento, por favor.", "Continuo aqui. Só um momento.", "Demora mais um pouco."),
    transfer="Um momento, por favor, vou transferir a chamada.",
    cannot_do="Lamento, não posso fazer isso agora. Posso ajudar em mais alguma coisa?",
    hold="Um momento, por favor.",
    unable="Lamento, não podemos falar agora. Voltaremos a ligar. Até logo.",
    idle_prompts=("Alô? Ainda está na linha?", "Não consigo ouvir a sua voz."),
    idle_goodbye="Voltarei a tentar noutro momento. Até logo.",
)
_DUTCH = Phrases(
    name="Dutch",
    yes="ja",
    no="nee",
    goodbye="Dank u wel. Tot ziens.",
    opted_out="Dat begrijp ik. We zullen u niet meer bellen. Tot ziens.",
    wrong_person="Excuses voor de vergissing. Tot ziens.",
    longest_call="Het spijt me, ik moet ons gesprek hier beëindigen. Tot ziens.",
    trouble="Het spijt me, ik heb een technisch probleem. Ik probeer het later nog eens. Tot "
    "ziens.",
    resumed="Excuses, de verbinding viel even weg. Ik ben er weer.",
    nobody_came="Het spijt me, er is op dit moment niemand vrij. Ik ben er nog. Wat kan ik voor u "
    "doen?",
    fillers=("Een ogenblik, alstublieft.", "Ik ben er nog. Een momentje.", "Het duurt nog even."),
    transfer="Een ogenblik, alstublieft, ik verbind u door.",
    cannot_do="Het spijt me, dat kan ik nu niet doen. Kan ik u ergens anders mee helpen?",
    hold="Een ogenblik, alstublieft.",
    unable="Het spijt me, we kunnen u nu niet te woord staan. We bellen u nog een keer. Tot ziens.",
    idle_prompts=("Hallo? Bent u er nog?", "Ik hoor u niet."),
    idle_goodbye="Ik probeer het een andere keer. Tot ziens.",
)
PHRASES: dict[str, Phrases] = {
    "de": _GERMAN,
    "en": _ENGLISH,
    "es": _SPANISH,
    "fr": _FRENCH,
    "it": _ITALIAN,
    "nl": _DUTCH,
    "pt": _PORTUGUESE,
}


def phrases_for(language: str) -> Phrases:
    """The sentences of a template's language; English for `multi`, and for no language at all."""
    return PHRASES.get(language.partition("-")[0].lower(), _ENGLISH)
