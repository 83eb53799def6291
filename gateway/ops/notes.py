"""What goes wrong at work and on the way out, as lines of the log and counts."""

from collections.abc import Callable
from typing import Literal

from loguru import logger

from gateway.model.message import Message
from gateway.model.work import Key
from gateway.ops.health import Metrics
from gateway.ops.logging import stack


def work_failed(key: Key, error: Exception) -> None:
    logger.bind(tenant=key.tenant, conversation=key.conversation).warning(
        "work on a conversation was broken off; it will be tried again: {}", stack(error)
    )


def delivery_log(metrics: Metrics) -> Callable[[str, Message, str], None]:
    def log(what: str, message: Message, why: str) -> None:
        metrics.add("delivery", what.replace(" ", "_"))
        logger.bind(tenant=message.tenant, conversation=message.conversation, message=message.id).warning(
            "delivery: {} ({})", what, why
        )

    return log


def circuit_log(metrics: Metrics) -> Callable[[str, Literal["closed", "opened"]], None]:
    def log(channel: str, what: Literal["closed", "opened"]) -> None:
        metrics.add("circuit", what)
        text = "keeps failing; its lane is closed, and tried now and then"
        why = text if what == "closed" else "works again; its lane is open"
        # The tenant is that of the work which is under way.
        logger.bind(channel=channel).warning("circuit {}: the provider of channel {} {}", what, channel, why)

    return log
