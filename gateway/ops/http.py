"""What every HTTP answer gets: a request id, safe headers, and never a stack trace."""

import re
import secrets
from collections.abc import Awaitable, Callable

from aiohttp import web
from loguru import logger

from gateway.model.errors import Conflict, Invalid, NotFound, SendError, Unavailable
from gateway.ops.logging import stack
from gateway.ops.problems import problem

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_REQUEST_ID = re.compile(r"^[A-Za-z0-9-]{8,64}$")

SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    asked = request.headers.get("X-Request-Id", "")
    request_id = asked if _REQUEST_ID.match(asked) else secrets.token_hex(8)
    with logger.contextualize(request=request_id):
        response = await _answered(request, handler)
    if not response.prepared:
        response.headers.setdefault("X-Request-Id", request_id)
        for name, value in SAFE.items():
            response.headers.setdefault(name, value)
    return response


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Invalid as error:
        return problem(422, "invalid", str(error), [{"field": error.field, "expected": error.expected}])
    except NotFound:
        return problem(404, "not_found", "There is nothing with this id here.")
    except Conflict as error:
        return problem(409, "conflict", str(error))
    except Unavailable:
        return problem(
            503,
            "unavailable",
            "The database can't be reached. Try again shortly.",
            headers={"Retry-After": "5"},
        )
    except SendError as error:
        # Asked by somebody who waits for the answer; what is sent later never comes here.
        return problem(502, error.code, error.text)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return problem(error.status, "http", error.reason)
    except Exception as error:
        logger.error(
            "a request failed: {} {}: {}",
            request.method,
            request.match_info.route.resource,
            stack(error),
        )
        return problem(
            500, "internal", "Something went wrong on our side. The request id is in X-Request-Id."
        )
