"""What the core does by itself with what is no question: commands of a channel's menu, and things that happened.

Pure. `react` gives None for everything that the lead flow and the brain are to answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.model.content import Buttons, Choice, Command, Content, System, Text
from gateway.model.conversation import Conversation
from gateway.model.texts import LANGUAGES, told


@dataclass(frozen=True, slots=True)
class Reaction:
    """What to say, and the conversation afterwards. An owner that changed from the bot to the queue waits for a person."""

    say: Sequence[Content]
    conversation: Conversation


def react(
    content: Content, conversation: Conversation, business: str, greeting: str | None
) -> Reaction | None:
    match content:
        case System(event=event):
            return _happened(event, conversation, business, greeting)
        case Command(name=name, argument=argument):
            return _command(name.lower(), argument, conversation, business, greeting)
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


def _command(
    name: str, argument: str, conversation: Conversation, business: str, greeting: str | None
) -> Reaction | None:
    language = conversation.language
    match name:
        case "start":
            started = replace(conversation, stopped=False)
            return Reaction((_greeting(conversation, business, greeting),), started)
        case "stop":
            return Reaction((Text(told("stopped", language)),), replace(conversation, stopped=True))
        case "help":
            return Reaction((Text(told("help", language)),), conversation)
        case "human":
            return _human(conversation)
        case "language":
            return _language(argument, conversation)
    # A command that nobody made: what was meant is said by its words.
    return Reaction((Text(told("help", language)),), conversation) if not argument else None


def _greeting(conversation: Conversation, business: str, greeting: str | None) -> Text:
    return Text(greeting or told("greeting", conversation.language).format(business=business))


def _human(conversation: Conversation) -> Reaction:
    if conversation.owner == "agent":
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
