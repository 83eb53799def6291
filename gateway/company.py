"""While the brain thinks: what the customer sees meanwhile. The answer as far as it is written, where the channel can show that;
after four seconds a line that it is coming; and that somebody is at it, again and again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

from loguru import logger

from gateway.model.conversation import Conversation
from gateway.model.errors import SendError
from gateway.model.message import Message
from gateway.model.ports import Adapter, ShowsDrafts
from gateway.model.tenant import Channel
from gateway.ops.logging import stack

HOLDS: Final = 4.0
"""Seconds in silence, until the customer is told that the answer is coming."""

TYPES: Final = 4.5
"""Seconds between two signs that an answer is being written: Telegram's lasts 5."""

Hold = Callable[[], Awaitable[None]]
"""Write the line that the answer is coming, and send it. It may be called once."""


class Company:
    """Keeps the customer of one question company. Implements `gateway.model.answers.Listener`. Nothing depends on it: what
    fails here is logged, and no more."""

    def __init__(
        self,
        adapter: Adapter,
        channel: Channel,
        conversation: Conversation,
        message: Message,
        hold: Hold | None,
    ) -> None:
        self._adapter = adapter
        self._channel = channel
        self._conversation = conversation
        self._message = message
        # Without what else was to be acknowledged: that was done when it came.
        self._seen = replace(message, extra={})
        self._mute = False
        self._drafts: ShowsDrafts | None = None
        if isinstance(adapter, ShowsDrafts) and adapter.shows_drafts(conversation.address):
            self._drafts = adapter
        self._hold = hold
        self._holding: asyncio.Task[None] | None = None
        self._shown = ""

    @property
    def shows(self) -> bool:
        """Whether this customer can see an answer while it is written."""
        return self._drafts is not None

    async def said(self, text: str) -> None:
        if self._mute or self._drafts is None or text == self._shown:
            return
        self._shown = text
        try:
            await self._drafts.show_draft(self._channel, self._conversation, self._message, text)
        except SendError as error:
            # Too fast, or not in this chat: the answer comes as a whole then.
            self._mute = True
            logger.debug("a draft was not shown: {}", error.code)
        except Exception as error:
            # Whoever writes the answer goes on whatever becomes of showing it.
            self._mute = True
            logger.warning("a draft could not be shown: {}", stack(error))

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Keep company from now to the end. What is being sent then comes to its end first: the answer goes behind it."""
        task = asyncio.create_task(self._keep(), name="company")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})
            if self._holding is not None:
                await asyncio.wait({self._holding})

    async def _keep(self) -> None:
        await asyncio.sleep(HOLDS)
        if self._hold is not None and not self._shown:
            # A task of its own: to be cancelled in the middle of sending would leave its outcome unknown.
            self._holding = asyncio.create_task(self._told(self._hold), name="holding")
            await asyncio.shield(self._holding)
        while True:
            await self._typing()
            await asyncio.sleep(TYPES)

    async def _told(self, hold: Hold) -> None:
        try:
            await hold()
        except Exception as error:
            logger.warning("the customer could not be told that the answer is coming: {}", stack(error))

    async def _typing(self) -> None:
        try:
            if self._shown and not self._mute and self._drafts is not None:
                await self._drafts.show_draft(self._channel, self._conversation, self._message, self._shown)
                return
            if not self._adapter.capabilities.typing:
                return
            await self._adapter.mark_read(self._channel, self._seen, self._conversation.address, typing=True)
        except SendError as error:
            logger.debug("typing was not shown: {}", error.code)
        except Exception as error:
            logger.warning("showing that an answer is coming broke: {}", stack(error))
