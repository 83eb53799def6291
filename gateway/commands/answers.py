"""`answers`: how a tenant's bot answers, with whose help, and what that costs."""

import argparse
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from brain.embed import LocalEmbedder
from brain.prices import list_prices
from brain.providers.registry import account_of
from gateway.answer_check import check
from gateway.answer_settings import FIELDS, changed, day_of, seen, with_key
from gateway.brains import opened_brains, operator_of
from gateway.commands.context import Commands, Context, Failed, secret
from gateway.commands.tenant import _command, _group
from gateway.model.clock import system_clock
from gateway.model.errors import Invalid
from gateway.model.tenant import Tenant


def add(commands: "Commands") -> None:
    group = _group(commands, "answers", "how the bot answers: provider, tone, languages, bounds on cost")
    show = _command(group, "show", show_answers, "a tenant's settings, and who answers with them")
    setting = _command(group, "set", set_answers, "change settings; `default` takes one back")
    testing = _command(
        group, "check", check_answers, "ask the provider a tiny question, and say what is wrong"
    )
    spending = _command(group, "spent", show_spent, "what was spent on providers on a day")
    for command in (show, setting, testing, spending):
        command.add_argument("--tenant", required=True)
    for name, field in FIELDS.items():
        setting.add_argument("--" + name.replace("_", "-"), help=field.help, metavar=field.metavar)
    setting.add_argument("--key", help="the provider's key, `-` for standard input, `none` to forget it")
    setting.add_argument(
        "--key-stdin", action="store_true", help="read the provider's key from standard input"
    )
    spending.add_argument("--day", help="such as 2026-11-22 (UTC); today without it")


async def show_answers(context: Context, args: argparse.Namespace) -> None:
    _show(context, await context.store.directory.tenant(args.tenant))


def _show(context: Context, tenant: Tenant) -> None:
    account = account_of(tenant, operator_of(context.settings))
    value = {"answered_by": account.provider, **seen(tenant)}
    context.show(value, lambda: [f"{name}: {_said(of)}" for name, of in value.items()])


def _said(value: Any) -> str:
    match value:
        case None:
            return "default"
        case bool():
            return "yes" if value else "no"
        case tuple() | list():
            return ", ".join(str(v) for v in value) or "none"
        case Mapping():
            return ", ".join(f"{n}={_value(of)}" for n, of in value.items()) or "none"
        case _:
            return str(value) or "none"


def _value(of: Any) -> str:
    """A price in and out, or a bound."""
    if isinstance(of, list):
        return "/".join(str(v) for v in of)
    return "none" if of is None else str(of)


async def set_answers(context: Context, args: argparse.Namespace) -> None:
    tenant = await context.store.directory.tenant(args.tenant)
    given = {name: getattr(args, name) for name in FIELDS if getattr(args, name) is not None}
    key = secret("-", "--key-stdin") if args.key_stdin else secret(args.key, "--key")
    if not given and key is None:
        raise Invalid("answers set", "at least one setting: `answers set --help` has them")
    internal = context.settings.answers_internal_hosts
    settings = changed(tenant.answers, given, internal)
    secrets, forgot = with_key(tenant, settings, key)
    await context.store.directory.set_answers(tenant.id, settings, secrets, rev=tenant.rev)
    if forgot:
        context.say(
            "The key belonged to another provider or address and was forgotten: give the new one with --key-stdin."
        )
    fresh = await context.store.directory.tenant(tenant.id)
    if account_of(fresh, operator_of(context.settings)).provider == "local" and settings.provider in (
        "cohere",
        "openai",
    ):
        context.say(f"Answered locally for now: {settings.provider} needs " + _needs(settings.provider))
    if (
        settings.provider == "openai"
        and _has_money_cap(fresh)
        and not list_prices().over(settings.prices).known(settings.model or "")
    ):
        context.say("The bounds on money have no effect without prices of the model: --prices MODEL=IN/OUT")
    _show(context, fresh)


def _needs(provider: str) -> str:
    return "a key (--key-stdin)" if provider == "cohere" else "--address and --model"


def _has_money_cap(tenant: Tenant) -> bool:
    caps = tenant.answers.caps
    return any(v is not None for v in (caps.conversation_money, caps.contact_money, caps.tenant_money))


async def check_answers(context: Context, args: argparse.Namespace) -> None:
    tenant = await context.store.directory.tenant(args.tenant)
    store = context.store
    async with opened_brains(
        context.settings, store, system_clock, LocalEmbedder(), time.monotonic
    ) as brains:
        account = account_of(tenant, operator_of(context.settings))
        findings = [await check(model) for model in brains.providers.models_of(account)]
    rows = [asdict(finding) for finding in findings]

    def lines() -> list[str]:
        if not findings:
            return ["Answered locally: there is no provider to check (`answers set --provider`)."]
        return [
            f"{'ok' if f.ok else 'FAILED'}  {f.name}: {f.text}" + (f"\n        {f.fix}" if f.fix else "")
            for f in findings
        ]

    context.show(rows, lines)
    if any(not finding.ok for finding in findings):
        raise Failed("not every model answered; what to do stands above")


async def show_spent(context: Context, args: argparse.Namespace) -> None:
    tenant = await context.store.directory.tenant(args.tenant)
    day = day_of("--day", args.day, system_clock())
    found = await context.store.spending.spent(tenant.id, day)
    rows = [
        {"scope": s.scope, "id": s.id, "tokens": s.tokens, "usd": s.money / 1_000_000, "calls": s.calls}
        for s in found
    ]
    context.table(rows, ("scope", "id", "tokens", "usd", "calls"), f"Nothing was spent on {day}.")
