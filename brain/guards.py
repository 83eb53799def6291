"""What may go into a prompt, and what of an answer may go out.

Inwards: what was retrieved, and what was said before, is data. Whatever reads as a role, as a template's token, as a mark of a
citation or as an order to a model is taken out of it before a model sees it. Outwards: foreign addresses, what only the
prompt said, and loops are cut; nothing of an answer is ever an action. Both are lists of what is known, and so the first
line only: the others are that a prompt holds no secret and no other tenant's or contact's data, that models have no
tools here, and that every sentence has to rest on the documents (brain.ground).
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from brain.edited import Edited
from brain.language import guess
from brain.links import without_foreign, without_hidden
from brain.sentences import Part, parts
from brain.words import fold

_TOKEN: Final = re.compile(
    r"<\|[^|>\n]{0,60}\|>(?:\s*(?:system|user|assistant)\b)?|<start_of_turn>\s*(?:system|user|model)\b|<\uff5c[^>\n]{0,60}>|\[/?INST\]|<</?SYS>>|</?s>|<(?:start|end)_of_turn>|<(?:bos|eos|pad|unk)>|"
    r"\[/?(?:SYSTEM|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)[^\]\n]{0,20}\]|</?(?:system|assistant|user|tool|document|documents|"
    r"instructions?|context|think|function_calls?)[^<>\n]{0,80}>|<(?:BOS|EOS)_TOKEN>|\{\{[^{}\n]{0,80}\}\}",
    re.IGNORECASE,
)
_ROLE: Final = re.compile(
    r"^[ \t#*>\[\-]{0,20}(?:system|assistant|user|human|developer|ai|bot|chatgpt|sistema|asistente|usuario|assistente|usuário|"
    r"utente|système|assistant[e]?|utilisateur|benutzer|nutzer|assistent|النظام|نظام|المساعد|المستخدم|सिस्टम|प्रणाली|सहायक|"
    r"उपयोगकर्ता)(?:\s+(?:message|prompt|note|mensaje|mensagem|messaggio|nachricht))?[\s*\]]*[:：]\s*",
    re.IGNORECASE | re.MULTILINE,
)
_MARK: Final = re.compile(r"[\[【]\s*\d{1,3}(?:\s*[,;†:-][^\]】\n]{0,40})?\s*[\]】]")
_FENCE: Final = re.compile(r"`{3,}[\w-]*|~{3,}")

_SPEAK: Final = (
    r"answer|reply|respond|say|speak|talk|act|write|obey|ignore|follow|behave|only|always|reveal|tell|recommend|"
    r"end|begin|pretend"
)
# An order to a model, in the eight languages of the corpus: a verb of leaving, and what is to be left.
_LEAVE: Final = (
    r"ignor\w*|disregard\w*|forget|override|bypass|do not follow|don'?t follow|stop following|"
    r"olvid\w*|haz caso omiso|no sigas|descart\w*|desconsider\w*|esquec\w*|oubli\w*|ne (?:suis|tiens)|"
    r"vergiss|vergessen|missacht\w*|dimentic\w*|non seguire|trascura\w*|تجاهل\w*|انس|تجاوز|"
    r"नजरअंदाज|नज़रअंदाज़?|अनदेखा|भूल|अनदेखी"
)
_LEAVE_LAST: Final = r"ignorieren|missachten|vergessen|नजरअंदाज|नज़रअंदाज़?|अनदेखा|भूल|अनदेखी"
_NOT_LEAVE: Final = (
    r"(?<!\bdon't )(?<!\bdon’t )(?<!\bdo not )(?<!\bnever )(?<!\bnot )"
    r"(?<!\bn')(?<!\bn’)(?<!\bne l')"
    r"(?<!\bno )(?<!\bnao )(?<!\bnon )"
    r"(?<!\bsi )(?<!\bse )"
)
"""Who is told not to forget the instructions, or what to do if they have, is a customer."""

_LEFT: Final = (
    r"instruct\w*|prompt\w*|rules?|guidelines?|directions?|everything (?:above|before|that|you (?:were|know|have been))|"
    r"(?:previous|above|earlier) (?:policy|policies)|"
    r"instruccion\w*|reglas|ordenes|todo lo (?:anterior|dicho|que (?:te|se te|sabes))|"
    r"instruc\w*|regras|"
    r"tudo (?:o que (?:te|foi|voce|sabe)|acima|antes)|consignes?|regles?|tout ce|"
    r"anweisung\w*|regeln|vorgaben|alles(?: (?:bisherige|vorherige|obige|davor|zuvor)|,? was (?:du|oben|vorher|bisher|dir))|"
    r"istruzion\w*|regole|"
    r"tutto (?:cio|quello|quanto)|التعليمات|تعليمات\w*|القواعد|الاوامر|كل ما|"
    r"निर्देश\w*|नियम\w*|सब कुछ|आदेश\w*"
)
_ORDERS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"{_NOT_LEAVE}(?<!\w)(?:{_LEAVE})(?!\w)(?!\s(?:sie |ihr )?nicht\b| pas\b)"
        rf".{{0,80}}?(?<!\w)(?:{_LEFT})",
        # In Hindi, and often in German, the verb comes last.
        rf"(?<!\w)(?:{_LEFT}).{{0,60}}?(?<!\w)(?:{_LEAVE_LAST})(?!\w)",
        r"\b(?:(?:system|developer|hidden|secret)\s+(?:prompt|instructions?|message)|(?:initial|original)\s+prompt|"
        r"your\s+(?:initial|original)\s+(?:instructions?|message))",
        r"\b(?:prompt|instrucciones|mensaje|instrucoes|mensagem|invite|message|anweisungen|istruzioni|messaggio)\s+(?:del?|do|du|des|di)\s*(?:el\s+)?"
        r"(?:sistema|systeme|systems?)",
        r"\bsystem-?prompt|\bsystemanweisung|\bmessage systeme|مطالبة النظام|رسالة النظام|موجه النظام|सिस्टम प्रॉम्प्ट|सिस्टम संदेश",
        r"\byou are now (?:an?|the|my|free|called|no)\b|"
        rf"\bfrom now on,? (?:you (?:are\b|(?:will |must |shall |should |have to )?(?:only |always |never )?"
        rf"(?:{_SPEAK})\b)|(?:{_SPEAK})\b)|"
        r"(?:^\W*|\b(?:you|please|must|will|should|now|then|and)\s)act as (?:if|an?|the)\b|"
        r"\bpretend (?:to be|you)\b|\bnew (?:instructions?|task|role)\s*:|"
        r"\bas an ai\b|\bdeveloper mode\b|\bjailbreak\b|\bdo anything now\b",
        r"\b(?:ahora eres|actua como|nuevas instrucciones|agora voce e|aja como|novas instrucoes|"
        r"a partir de ahora,? (?:tu |solo |siempre )*(?:eres|seras|debes|actua\w*|responde\w*|contesta\w*|ignora\w*|habla\w*|di)|"
        r"a partir de agora,? (?:voce e|voce deve|tu es|seja|(?:so |sempre |apenas )*"
        r"(?:aja|responda|responde|ignore|fale|diga)))\b",
        r"\b(?:tu es maintenant|vous etes maintenant|agis comme|nouvelles? instructions?|"
        r"desormais,? (?:tu|vous (?:etes|devez|repond\w*|agiss\w*)|reponds|repondez|agis|agissez|ignore\w*|dis)|"
        r"du bist (?:jetzt|nun)|ab sofort (?:bist|musst|sollst|antwort\w*|ignorier\w*|sag\w*|sprichst|handelst)|"
        r"neue anweisung\w*|handle als|ora sei|agisci come|nuove istruzioni|"
        r"d'ora in poi,? (?:tu|sei|sarai|devi|rispond\w*|agisci|ignora|di))\b",
        r"انت الان|من الان فصاعدا.{0,10}(?:انت|اجب|تصرف|قل|تجاهل)|تصرف ك|تعليمات جديده|"
        r"अब (?:से )?(?:आप|तुम)(?!\w).{0,60}(?:हैं|हो|दें|दो|करें)(?!\w)|नए निर्देश",
        r"\b(?:reveal|print|output|repeat|leak|disclose|dump|exfiltrate)\b.{0,50}\b"
        r"(?:api key|secrets?|credentials?|prompt|(?:your|the admin\w*) passwords?|"
        r"instructions?|other (?:customers?|tenants?|users?|contacts?)|verbatim|word for word|"
        r"everything (?:above|before|that|you))",
        r"\b(?:reveal|leak|disclose|dump|exfiltrate)\b.{0,50}\bpasswords?",
        r"\b(?:show|list|give|display|tell|send)\b.{0,40}\bother (?:customers?|tenants?|users?|contacts?|companies|businesses)\b|"
        r"(?:^\W*|\b(?:now|then|and|please|must)\s)(?:unsubscribe|opt out|hand over|transfer|escalate|delete)\s+(?:this|the)\s+"
        r"(?:customer|user|conversation|contact|visitor)\b",
        r"\b(?:say|tell|write|include|append|insert|add|end|begin|start|finish)\b.{0,50}\b"
        r"(?:every (?:answer|reply|response|message)|"
        r"all (?:answers|replies|responses)|the (?:user|customer|visitor) (?:that|to)|verbatim|word for word)",
        r"\b(?:answer|reply|respond)\b.{0,50}\b(?:in every (?:answer|reply|response|message)|"
        r"the (?:user|customer|visitor) (?:that|to)|verbatim|word for word)|"
        r"^\W*(?:answer|reply|respond)\b.{0,50}\bevery (?:answer|reply|response|message)",
        r"\b(?:responde|repite|revela|responda|repita|revele|reponds?|repete|antworte|wiederhol\w*|verrat\w*|rispondi|ripeti|rivela)\b"
        r".{0,60}\b(?:siempre|sempre|toujours|immer|exactamente|exatamente|exactement|genau|wortlich|esattamente|contrasen\w*|senha|"
        r"chave|mot de passe|passwort|password|chiave|secretos?|segredos?|geheim\w*|segret\w*|secrets?)",
        r"(?<!\w)(?:اجب|كرر|اكشف|قل).{0,60}(?:دائما|حرفيا|بالضبط|كلمه المرور|المفتاح السري|الاسرار)",
        r"(?:पासवर्ड|गुप्त|हमेशा|हूबहू).{0,60}(?:दोहरा|प्रकट|जवाब द|उत्तर द)",
    )
)

_MAX_LOOP: Final = re.compile(r"(.{3,80}?)\1{4,}", re.DOTALL)
_SHINGLE: Final = 7
"""Words in a row that an answer may not share with what only the prompt says."""

_WORD: Final = re.compile(r"\w+")
_PLAIN: Final = (
    (re.compile(r"\*\*(?=\S)(.{1,300}?)(?<=\S)\*\*"), r"\1"),
    (re.compile(r"__(?=\S)(.{1,300}?)(?<=\S)__"), r"\1"),
    (re.compile(r"^[ \t]{0,3}#{1,6}[ \t]+", re.MULTILINE), ""),
    (re.compile(r"^[ \t]*[*•][ \t]+", re.MULTILINE), "- "),
    (re.compile(r"`{1,3}([^`\n]{1,300})`{1,3}"), r"\1"),
    (re.compile(r"`{3,}[\w-]*"), ""),
    (re.compile(r"\n{3,}"), "\n\n"),
)
MOST: Final = {"short": 700, "medium": 1400, "long": 2800}
"""Characters of an answer, by the tenant's `length`."""

TOKENS: Final = {"short": 300, "medium": 600, "long": 1200}
"""Tokens that a model may write for it: enough for scripts that take one a letter."""


def as_data(text: str, most: int = 4000) -> str:
    """A text that is to stand in a prompt as data: without what is not seen, roles, templates, marks, and orders to a model."""
    plain = without_hidden(Edited.of(text[:most])).text
    plain = _FENCE.sub("", _TOKEN.sub(" ", plain))
    plain = _MARK.sub(" ", _ROLE.sub("", plain))
    return "".join(part.text for part in parts(plain) if not is_order(part.text)).strip()


def is_order(text: str) -> bool:
    """Whether a sentence speaks to a model rather than to a customer."""
    folded = fold(text)
    return any(order.search(folded) for order in _ORDERS)


def outward(text: Edited, allowed: frozenset[str]) -> Edited:
    """An answer's text without foreign addresses, templates' tokens, Markdown's signs and loops."""
    text = without_foreign(text.sub(_TOKEN, " "), allowed)
    for pattern, instead in _PLAIN:
        text = text.sub(pattern, instead)
    return text.sub(_MAX_LOOP, r"\1").strip()


def once(found: Sequence[Part]) -> list[Part]:
    """Sentences without those that were said before."""
    seen: set[str] = set()
    out: list[Part] = []
    for part in found:
        said = " ".join(_WORD.findall(fold(part.text)))
        if said and said in seen and len(said) > 12:
            continue
        seen.add(said)
        out.append(part)
    return out


class Told:
    """What only the prompt says: who repeats it has been talked into showing it. What the documents say, too, is no secret."""

    def __init__(self, system: str, mark: str, documents: Iterable[str]) -> None:
        self._mark = mark
        self._rows = _rows(system)
        for document in documents:
            self._rows -= _rows(document)

    def shows(self, sentence: str) -> bool:
        return bool(self._mark and self._mark in sentence) or not self._rows.isdisjoint(_rows(sentence))


def _rows(text: str) -> set[tuple[str, ...]]:
    words = _WORD.findall(fold(text))
    return {tuple(words[i : i + _SHINGLE]) for i in range(len(words) - _SHINGLE + 1)}


def is_wanted(text: str, question: str, languages: Sequence[str], given: str | None) -> bool:
    """Whether an answer's language is one that the policy allows: of the tenant's, or else the customer's own. What can't be
    told is not held against it."""
    found = guess(text)
    if found is None or len(text) < 40:
        return True
    wanted = language_for(question, languages, given)
    return wanted is None or found == wanted or found == guess(question)


def language_for(question: str, languages: Sequence[str], given: str | None) -> str | None:
    """The language to answer in: the customer's own, or the first of the tenant's where it is not among them."""
    own = guess(question) or (given or "").split("-")[0].lower() or None
    offered = [language.split("-")[0].lower() for language in languages]
    return own if not offered or own in offered else offered[0]
