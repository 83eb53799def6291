"""What the core does by itself with what is no question: commands of a channel's menu, and things that happened.

Pure. `words` comes first: a command that nobody made is what its words say. `react` gives None for everything that the
lead flow and the brain are to answer.

While a person owns the conversation, or is waited for, the bot's words would not leave: then a command has its effect and
nothing is said.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from consent import entries as entries_of
from consent.entries import Cause
from gateway.model.consent import Entry, applied
from gateway.model.content import Buttons, Choice, Command, Content, System, Text
from gateway.model.conversation import Conversation
from gateway.model.permission import Permissions
from gateway.model.texts import LANGUAGES, told


@dataclass(frozen=True, slots=True)
class Reaction:
    """What to say, and the conversation afterwards. An owner that changed from the bot to the queue waits for a person."""

    say: Sequence[Content]
    conversation: Conversation
    entries: Sequence[Entry] = ()


KNOWN: Final = frozenset({"start", "stop", "help", "human", "language"})


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
) -> Reaction | None:
    match content:
        case System(event=event):
            return _happened(event, conversation, business, greeting)
        case Command(name=name, argument=argument) if name.lower() in KNOWN:
            if name.lower() == "stop":
                return _stop(conversation, cause, permissions)
            if name.lower() == "start":
                conversation, entries = _started(conversation, cause, permissions)
                return Reaction(
                    (_greeting(conversation, business, greeting),) if conversation.owner == "bot" else (),
                    conversation,
                    entries,
                )
            reaction = _command(name.lower(), argument, conversation)
            return reaction if conversation.owner == "bot" else replace(reaction, say=())
    return None


def _happened(event: str, conversation: Conversation, business: str, greeting: str | None) -> Reaction:
    match event:
        case "blocked":
            return Reaction((), replace(conversation, blocked=True))
        case "unblocked":
            return Reaction((), replace(conversation, blocked=False))
        case "welcome" if conversation.turn is None and conversation.owner == "bot":
            return Reaction((_greeting(conversation, business, greeting),), conversation)
        case "handover":
            return _human(conversation)
    return Reaction((), conversation)


def _stop(conversation: Conversation, cause: Cause, permissions: Permissions) -> Reaction:
    """It counts whoever owns the conversation, and is confirmed once."""
    entries = entries_of.stop(cause, conversation.consents, permissions, permissions.stop_scope)
    if not entries:
        return Reaction((), conversation)
    stopped = replace(conversation, consents=applied(conversation.consents, entries))
    return Reaction((Text(told("stopped", conversation.language)),), stopped, entries)


def _started(
    conversation: Conversation, cause: Cause, permissions: Permissions
) -> tuple[Conversation, Sequence[Entry]]:
    entries = entries_of.start(cause, conversation.consents, permissions)
    return replace(conversation, consents=applied(conversation.consents, entries)), entries


def _command(name: str, argument: str, conversation: Conversation) -> Reaction:
    match name:
        case "human":
            return _human(conversation)
        case "language":
            return _language(argument, conversation)
    return Reaction((Text(told("help", conversation.language)),), conversation)


def _greeting(conversation: Conversation, business: str, greeting: str | None) -> Text:
    return Text(greeting or told("greeting", conversation.language).format(business=business))


def _human(conversation: Conversation) -> Reaction:
    if conversation.owner != "bot":  # they were told already
        return Reaction((), conversation)
    return Reaction((Text(told("human", conversation.language)),), replace(conversation, owner="queue"))


def _language(argument: str, conversation: Conversation) -> Reaction:
    wanted = argument.strip().lower()
    for tag, names in LANGUAGES.items():
        if wanted and (wanted.split("-")[0] == tag or wanted in names):
            changed = replace(conversation, language=tag, chosen=tag)
            return Reaction((Text(told("language", tag)),), changed)
    choices = tuple(Choice(f"/language {tag}", names[0].capitalize()) for tag, names in LANGUAGES.items())
    return Reaction((Buttons(told("languages", conversation.language), choices),), conversation)
