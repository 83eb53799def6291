"""From what a customer said to an answer: a small form that is open, else the brain, and what follows on what it says.

Pure but for the brain and what the customer is shown while it thinks. Writes nothing.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from loguru import logger

from gateway.company import Company
from gateway.model.answers import (
    MAX_SAID,
    MOST_SAID,
    Answer,
    Asked,
    Brain,
    FormRule,
    Question,
    Said,
    Submission,
)
from gateway.model.content import Buttons, Choice, Content, FormReply, ListMenu, Reply, Text, plain_text
from gateway.model.conversation import Conversation
from gateway.model.hours import opens
from gateway.model.message import Message, stable_id
from gateway.model.ports import Clock
from gateway.model.tenant import Channel, Tenant
from gateway.model.texts import told
from gateway.model.work import Work
from leads import forms
from leads.form_texts import form_words
from leads.forms import FormContext, FormState, FormStep

THINKS: Final = 15.0
"""Seconds that the brain has for an answer."""

BUTTONS: Final = 3

SAYS: Final = "say:"
"""The id of a choice that means what it says, as if it was typed."""


@dataclass(frozen=True, slots=True)
class Replied:
    """What the brain came to: its answer, the conversation afterwards, and what to keep of the question."""

    answer: Answer
    conversation: Conversation
    asked: Asked


@dataclass(frozen=True, slots=True)
class Filled:
    """What a form came to. `submission` is there once it is filled in."""

    say: tuple[Content, ...]
    conversation: Conversation
    submission: Submission | None = None
    handled: bool = True


class Answering:
    def __init__(
        self, brain: Brain, clock: Clock, hints: Work, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._brain = brain
        self._clock = clock
        self._hints = hints
        self._monotonic = monotonic

    async def ask(
        self,
        channel: Channel,
        tenant: Tenant,
        conversation: Conversation,
        message: Message,
        said: Content,
        company: Company,
    ) -> Replied:
        """What the brain knows, in bounded time: who thinks too long does not know."""
        question = Question(
            tenant.id,
            plain_text(said),
            tenant.rules,
            tenant.knowledge,
            conversation.language,
            channel=channel.id,
            contact=conversation.contact,
            conversation=conversation.id,
            earlier=conversation.recent,
            settings=tenant.answers,
            business=tenant.name,
            rev=tenant.rev,
            at=self._clock(),
            links=(*channel.site.links, *channel.origins),
        )
        began = self._monotonic()
        answer = await self._answered(question, company)
        seconds = self._monotonic() - began
        return Replied(
            answer,
            replace(conversation, recent=_recent(conversation.recent, question.text, answer)),
            _asked(question, message, answer, seconds),
        )

    async def _answered(self, question: Question, company: Company) -> Answer:
        listener = company if question.settings.stream and company.shows else None
        try:
            with self._hints.elsewhere():
                async with company.kept(), asyncio.timeout(THINKS):
                    return await self._brain.answer(question, listener)
        except TimeoutError:
            logger.warning("the answer took longer than {:.0f} s", THINKS)
            return Answer(False, why="provider")

    # Forms

    def fill(
        self,
        channel: Channel,
        tenant: Tenant,
        conversation: Conversation,
        message: Message,
        said: Content,
        certain: bool = False,
    ) -> Filled | None:
        """What the form that is open makes of what was said; None where there is none."""
        state = FormState.from_doc(conversation.form)
        if state is None:
            return None
        form = _form(tenant, state.form)
        if form is None or isinstance(said, FormReply) or not isinstance(said, Text | Reply):
            # It was taken away meanwhile, or something else has come: the form is in nobody's way.
            return None if form else Filled((), replace(conversation, form={}), handled=False)
        step = forms.step(form, state, said, self._of_form(channel, tenant, conversation), certain)
        return self._filled(form, step, channel, conversation, message)

    def begin(self, channel: Channel, tenant: Tenant, conversation: Conversation, name: str) -> Filled:
        """The form's first question. An open one gives way."""
        form = _form(tenant, name)
        if form is None:
            return Filled((), conversation, handled=False)
        step = forms.begin(form, self._of_form(channel, tenant, conversation))
        state = step.state.to_doc() if step.state else {}
        return Filled(step.say, replace(conversation, form=state))

    def _filled(
        self, form: FormRule, step: FormStep, channel: Channel, conversation: Conversation, message: Message
    ) -> Filled:
        after = replace(conversation, form=step.state.to_doc() if step.state else {})
        if step.done is None:
            return Filled(step.say, after, handled=step.handled)
        submission = Submission(
            id=stable_id("sub", conversation.tenant, message.id),
            tenant=conversation.tenant,
            form=form.name,
            at=self._clock(),
            channel=channel.id,
            contact=conversation.contact,
            conversation=conversation.id,
            values=step.done,
        )
        return Filled(step.say, replace(after, owner="queue") if form.hand_over else after, submission)

    def _of_form(self, channel: Channel, tenant: Tenant, conversation: Conversation) -> FormContext:
        return FormContext(
            today=_today(conversation, tenant, self._clock()),
            language=conversation.language or tenant.language,
            region=channel.site.region or tenant.region,
        )

    def away(self, tenant: Tenant, language: str | None) -> str:
        """When a person is back, if the business is closed now; "" while it is open."""
        hours = tenant.answers.hours
        back = opens(hours, self._clock()) if hours is not None else None
        return told("away", language).format(when=f"{back:%Y-%m-%d %H:%M}") if back else ""


def shown(answer: Answer, language: str | None) -> Content:
    """An answer as it is said: with its choices, if it has some."""
    if not answer.choices:
        return Text(answer.text, answer.sources)
    choices = tuple(Choice(f"{SAYS}{title}", title) for title in answer.choices)
    if len(choices) <= BUTTONS:
        return Buttons(answer.text, choices, answer.sources)
    return ListMenu(answer.text, form_words(language).choose, choices)


def _today(conversation: Conversation, tenant: Tenant, now: datetime) -> date:
    """Where the customer is, as far as somebody told; else where the business is."""
    hours = tenant.answers.hours
    zone = conversation.timezone or (hours.timezone if hours else tenant.permissions.timezone)
    return now.astimezone(ZoneInfo(zone)).date()


def _form(tenant: Tenant, name: str) -> FormRule | None:
    return next((form for form in tenant.answers.forms if form.name == name), None)


def _recent(before: Sequence[Said], question: str, answer: Answer) -> tuple[Said, ...]:
    own = [Said("customer", question[:MAX_SAID])]
    if answer.known:
        own.append(Said("bot", answer.text[:MAX_SAID]))
    return (*before, *own)[-MOST_SAID:]


def _asked(question: Question, message: Message, answer: Answer, seconds: float) -> Asked:
    return Asked(
        id=message.id,
        tenant=question.tenant,
        at=message.at,
        question=question.text[:MAX_SAID],
        channel=question.channel or "",
        contact=question.contact or "",
        conversation=question.conversation or "",
        known=answer.known,
        text=answer.text,
        by=answer.by,
        why=answer.why,
        score=answer.score,
        sources=answer.sources,
        version=question.version,
        language=question.language,
        seconds=round(seconds, 3),
        used=answer.used,
        earlier=question.earlier,
    )
