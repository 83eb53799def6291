"""What the core does by itself with what is no question: keywords, commands of a channel's menu, and things that happened.

Pure. `words` comes first: a command that nobody made is what its words say. `react` gives None for everything that the
lead flow and the brain are to answer.

While a person owns the conversation, or is waited for, the bot's words would not leave: then a command has its effect and
nothing is said. A stop alone is confirmed whoever owns it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from consent import entries as entries_of
from consent import words as consent_words
from consent.entries import Cause
from consent.keywords import Keyword
from gateway.model.consent import Entry, applied
from gateway.model.content import Buttons, Choice, Command, Content, System, Text
from gateway.model.conversation import Conversation
from gateway.model.permission import OptIn, Permissions, StopScope
from gateway.model.texts import LANGUAGES, told


@dataclass(frozen=True, slots=True)
class Reaction:
    """What to say, and the conversation afterwards. An owner that changed from the bot to the queue waits for a person.
    `confirms`: it says that there will be no more messages, and so leaves all the same."""

    say: Sequence[Content]
    conversation: Conversation
    entries: Sequence[Entry] = ()
    confirms: bool = False


KNOWN: Final = frozenset({"start", "stop", "help", "human", "language", "keep", "agree"})

GREETS: Final = frozenset({"start", "unstop"})
"""Of the START family what is said to begin, too; the others are everyday words while there is nothing to take back."""


def words(content: Content) -> Content:
    """A command that is none of ours as the text that it is: `/prices shoes` asks for "prices shoes"."""
    if isinstance(content, Command) and content.name.lower() not in KNOWN:
        return Text(f"{content.name} {content.argument}".strip())
    return content


def react(
    content: Content,
    conversation: Conversation,
    business: str,
    greeting: str | None,
    cause: Cause,
    permissions: Permissions,
    keyword: Keyword | None = None,
    wording: str = "",
    away: str = "",
) -> Reaction | None:
    """`keyword` is all that was typed. `wording`: what was shown to somebody who confirms it now (`/agree`). `away`: when
    a person is back."""
    match content:
        case _ if keyword is not None:
            return _typed(keyword, conversation, business, greeting, cause, permissions)
        case System(event=event):
            return _happened(event, conversation, business, greeting, cause, permissions, away)
        case Command(name=name, argument=argument) if name.lower() in KNOWN:
            match name.lower():
                case "stop":
                    scope: StopScope = "all" if argument.strip().lower() == "all" else permissions.stop_scope
                    return _stop(conversation, cause, permissions, scope)
                case "start":
                    return _start(conversation, business, greeting, cause, permissions, argument.strip())
                case "agree":
                    return _agree(conversation, replace(cause, wording=wording), argument.strip())
            reaction = _command(name.lower(), argument, conversation, away)
            return reaction if conversation.owner == "bot" else replace(reaction, say=())
    return None


def ask_stop(conversation: Conversation, permissions: Permissions) -> Buttons:
    """What looks like an opt-out is asked about: the button decides. Where a STOP ends marketing alone and that has ended, it is
    all that they mean."""
    language = conversation.language
    marketing = conversation.consents.get("marketing")
    ended = marketing is not None and marketing.state == "withdrawn"
    stop = "/stop all" if permissions.stop_scope == "marketing" and ended else "/stop"
    choices = (
        Choice(stop, consent_words.told("yes_stop", language)),
        Choice("/keep", consent_words.told("no_keep", language)),
    )
    return Buttons(consent_words.told("ask_stop", language), choices)


def ask_agree(purpose: str, wording: str, language: str | None) -> Buttons:
    """The second half of a double opt-in: what they agreed to, and the button that confirms it."""
    choice = Choice(f"/agree {purpose}", consent_words.told("yes_agree", language))
    return Buttons(f"{consent_words.told('confirm', language)}\n{wording}", (choice,))


def wording_of(opt_in: OptIn, business: str, language: str | None) -> str:
    """The words that an opt-in stands for: the tenant's, or ours."""
    ours = consent_words.told("wording", language)
    return opt_in.wording or ours.format(purpose=opt_in.purpose, business=business)


def _typed(
    keyword: Keyword,
    conversation: Conversation,
    business: str,
    greeting: str | None,
    cause: Cause,
    permissions: Permissions,
) -> Reaction | None:
    answered = replace(conversation, language=consent_words.language_of(keyword, conversation.language))
    match keyword.family:
        case "stop":
            reaction = _stop(answered, cause, permissions, keyword.scope)
        case "opt_in":
            assert keyword.opt_in is not None
            reaction = _agrees(answered, business, cause, permissions, keyword.opt_in)
        case "start":
            takes_back = bool(entries_of.start(cause, conversation.consents, permissions))
            if not takes_back and keyword.languages and keyword.word not in GREETS:
                return None
            reaction = _start(answered, business, greeting, cause, permissions)
        case _:
            reaction = _command("help", "", answered)
    # The word tells in which language to answer it, and no more.
    after = replace(reaction.conversation, language=conversation.language)
    keeps = conversation.owner == "bot" or reaction.confirms
    return replace(reaction, conversation=after, say=reaction.say if keeps else ())


def _happened(
    event: str,
    conversation: Conversation,
    business: str,
    greeting: str | None,
    cause: Cause,
    permissions: Permissions,
    away: str,
) -> Reaction:
    match event:
        case "blocked":
            entries = entries_of.blocked(cause, conversation.consents, permissions)
            return _noted(replace(conversation, blocked=True), entries)
        case "unblocked":
            entries = entries_of.returned(cause, conversation.consents)
            return _noted(replace(conversation, blocked=False), entries)
        case "welcome" if conversation.turn is None and conversation.owner == "bot":
            return Reaction((_greeting(conversation, business, greeting),), conversation)
        case "handover":
            return _human(conversation, away)
    return Reaction((), conversation)


def _noted(conversation: Conversation, entries: Sequence[Entry], say: Sequence[Content] = ()) -> Reaction:
    return Reaction(
        say, replace(conversation, consents=applied(conversation.consents, entries)), tuple(entries)
    )


def _stop(conversation: Conversation, cause: Cause, permissions: Permissions, scope: StopScope) -> Reaction:
    """It counts whoever owns the conversation, and is confirmed once."""
    entries = entries_of.stop(cause, conversation.consents, permissions, scope)
    after = applied(conversation.consents, entries)
    if not any(after[e.purpose].entry == e.id for e in entries):
        return _noted(conversation, entries)  # told late: they have started again since
    text = consent_words.told("stopped" if scope == "all" else "stopped_marketing", conversation.language)
    return replace(_noted(conversation, entries, (Text(text),)), confirms=True)


def _start(
    conversation: Conversation,
    business: str,
    greeting: str | None,
    cause: Cause,
    permissions: Permissions,
    payload: str = "",
) -> Reaction:
    """Give back what a stop took. The payload of a link that they came by may agree to more."""
    entries = list(entries_of.start(cause, conversation.consents, permissions))
    say: list[Content] = [_greeting(conversation, business, greeting)]
    opt_in = permissions.deep_links.get(payload) if payload else None
    if opt_in is not None:
        given = _agrees(conversation, business, replace(cause, how="deep_link"), permissions, opt_in)
        entries = [e for e in entries if e.purpose != opt_in.purpose] + list(given.entries)
        say += [c for c in given.say if isinstance(c, Buttons)]
    return _noted(conversation, entries, say if conversation.owner == "bot" else ())


def _agrees(
    conversation: Conversation, business: str, cause: Cause, permissions: Permissions, opt_in: OptIn
) -> Reaction:
    """They agree to a purpose by a word or a link."""
    shown = wording_of(opt_in, business, conversation.language)
    given = entries_of.grant(replace(cause, wording=shown), opt_in.purpose, permissions)
    standing = conversation.consents.get(opt_in.purpose)
    if standing is not None and standing.state == "granted":
        return _noted(conversation, (), (Text(consent_words.told("agreed", conversation.language)),))
    # Whoever agrees to something wants to hear from us again.
    entries = [*entries_of.start(cause, conversation.consents, permissions)]
    entries = [e for e in entries if e.purpose != opt_in.purpose and e.purpose == "service"] + [given]
    if given.state == "asked":
        return _noted(conversation, entries, (ask_agree(opt_in.purpose, shown, conversation.language),))
    return _noted(conversation, entries, (Text(consent_words.told("agreed", conversation.language)),))


def _agree(conversation: Conversation, cause: Cause, purpose: str) -> Reaction:
    """They press the button of a double opt-in."""
    entries = entries_of.agreed(cause, purpose, conversation.consents)
    text = Text(consent_words.told("agreed", conversation.language))
    return _noted(conversation, entries, (text,) if entries and conversation.owner == "bot" else ())


def _command(name: str, argument: str, conversation: Conversation, away: str = "") -> Reaction:
    match name:
        case "human":
            return _human(conversation, away)
        case "language":
            return _language(argument, conversation)
        case "keep":
            return Reaction((Text(consent_words.told("kept", conversation.language)),), conversation)
    return Reaction((Text(told("help", conversation.language)),), conversation)


def _greeting(conversation: Conversation, business: str, greeting: str | None) -> Text:
    return Text(greeting or told("greeting", conversation.language).format(business=business))


def _human(conversation: Conversation, away: str) -> Reaction:
    if conversation.owner != "bot":  # they were told already
        return Reaction((), conversation)
    text = " ".join(part for part in (told("human", conversation.language), away) if part)
    return Reaction((Text(text),), replace(conversation, owner="queue"))


def _language(argument: str, conversation: Conversation) -> Reaction:
    wanted = argument.strip().lower()
    for tag, names in LANGUAGES.items():
        if wanted and (wanted.split("-")[0] == tag or wanted in names):
            changed = replace(conversation, language=tag, chosen=tag)
            return Reaction((Text(told("language", tag)),), changed)
    choices = tuple(Choice(f"/language {tag}", names[0].capitalize()) for tag, names in LANGUAGES.items())
    return Reaction((Buttons(told("languages", conversation.language), choices),), conversation)
