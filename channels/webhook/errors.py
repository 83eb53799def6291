"""What the receiving system's statuses mean: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"""

from dataclasses import replace

from channels.http import Reply
from channels.kit import http_error
from gateway.model.errors import SendError

_TEXTS = {
    400: "Your system could not read the message.",
    401: "Your system refused our signature: give both sides the same secret.",
    403: "Your system refused our signature: give both sides the same secret.",
    404: "There is nothing at your system's address.",
    410: "Your system says that it wants no more messages.",
    413: "The message is too large for your system.",
}


def send_error(reply: Reply) -> SendError:
    """Gone (410) ends the channel, as the specification says; wrong secrets and addresses are for a person to mend."""
    error = http_error("webhook", reply.status, reply.wait)
    error = replace(error, text=_TEXTS.get(reply.status, error.text))
    return replace(error, disable_channel=True) if reply.status in (401, 403, 404, 410) else error
