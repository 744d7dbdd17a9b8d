"""Beginnings of sentences that nobody leaves there: "I have to ask", "I would like to", "can you".

Data for `unfinished.py`, whose own lists hold words of their kind (articles, prepositions). A
phrase has at most three words. What people do say as a whole answer ("I'd love to") is excepted.
"""

WANTING: dict[str, str] = {
    "en": """
    to | to ask | to tell you | just ask | must ask | im calling | im looking | i want | i need
    would like | id like | and i | but i | because i | if i | that i | so i | when i | and we
    but we | because we | and then | and so | do i | do you | did you | could you | would you
    can you | can i | could i | may i | should i | is there | which | whose | half past
    quarter past | very | every | during | whether
    """,
    "de": """
    ich möchte | ich möchte gern | ich müsste | ich wollte | ich bräuchte | ich hätte gern
    ich hätte gerne | ich würde gern | ich würde gerne | und ich | aber ich | weil ich | dass ich
    wenn ich | und dann | nummer ist | name ist | adresse ist | nummer lautet | ich heiße
    ich muss erst | können sie | könnten sie | würden sie | kann ich | könnte ich | darf ich
    gibt es | sehr | viertel vor | viertel nach | seit | wegen | zwischen
    """,
    "es": """
    quisiera | voy a | vamos a | tengo que preguntar | y yo | pero yo | porque yo | número es
    nombre es | dirección es | me llamo | es a | a las | puede usted | podría usted | desde | hasta
    sobre | entre | sin | muy | unos | unas | es el | y luego
    """,
}

EXCEPTED: dict[str, str] = {
    "en": """
    love to | happy to | glad to | not to | supposed to | used to | able to | talking to
    speaking to | listening to | you want to | dont want to | not want to | hard to | you need to
    dont need to | not need to | you have to | dont have to | not have to | not going to
    what i want | what i need | all i want | all i need | you would like | you like to
    know which | not very | so do i | who is there | he is there | she is there
    """,
    "de": "wenn ich möchte | was ich möchte | das gibt es | was ich wollte",
    "es": "",
}
