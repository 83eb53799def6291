"""Asks a model a tiny question, and says what is wrong and what to do about it."""

import asyncio
from contextlib import aclosing
from typing import Final

from brain.port import Ended, LanguageModel, Prompt, ProviderError, Wrote
from gateway.model.ports import Finding

SECONDS: Final = 15.0

_FIXES: Final = {
    "provider:key": "Give a key that is valid: `answers set --tenant T --key-stdin`. The provider's dashboard makes one.",
    "provider:limit": "Wait, or raise the account's limit at the provider: trial keys have few calls a minute and a month.",
    "provider:broken": "Try again later; the provider's status page may say more. Until then what is here answers.",
    "provider:slow": "Try a smaller model (`--model`), or look whether the endpoint is overloaded.",
    "provider:away": "Look at the address (`--address`) and whether it can be reached from here; one inside your own network has "
    "to be named in ANSWERS_INTERNAL_HOSTS.",
    "provider:refused": "Look at the model's name (`--model`) and the address (`--address`, up to /v1): "
    "the provider does not take them.",
}


async def check(model: LanguageModel) -> Finding:
    """One call, which is not counted on anybody's bounds: about 100 tokens."""
    prompt = Prompt(
        "Answer with one word.", (), "Are you there?", (("Presence", "Yes, we are here."),), 20, "parley"
    )
    text = ""
    try:
        async with asyncio.timeout(SECONDS), aclosing(model.write(prompt)) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                if isinstance(piece, Wrote):
                    text += piece.text
                if isinstance(piece, Ended):
                    break
    except ProviderError as error:
        return Finding(model.model, False, f"{error.text} ({error.code})", _FIXES.get(error.code, ""))
    except TimeoutError:
        return Finding(
            model.model,
            False,
            f"no answer within {SECONDS:.0f} seconds (provider:slow)",
            _FIXES["provider:slow"],
        )
    if not text.strip():
        return Finding(
            model.model, False, "it answers with nothing", "Try another model: `answers set --model`."
        )
    return Finding(model.model, True, "answers")
