"""`rule` and `form`: fixed answers to keywords, and the small forms that they may begin."""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from brain.rules import check_rule
from gateway.api.rules import (
    FormBook,
    FormShape,
    RuleBook,
    RuleShape,
    check_forms,
    check_rules,
    read_forms,
    read_rules,
    schema,
    without_form,
)
from gateway.commands.context import Commands, Context, Failed
from gateway.commands.tenant import _command, _group
from gateway.model.answers import Rule
from gateway.model.errors import Invalid

MOST_BYTES = 1024 * 1024


def add(commands: "Commands") -> None:
    rules = _group(commands, "rule", "fixed answers to keywords, asked before the documents")
    adding = _command(rules, "add", add_rule, "add a rule, in place of one with the same pattern")
    adding.add_argument("--tenant", required=True)
    adding.add_argument(
        "--pattern", required=True, help="the whole message, ignoring case, accents and punctuation"
    )
    adding.add_argument("--answer", required=True)
    adding.add_argument(
        "--regex", action="store_true", help="the pattern is an expression, searched for anywhere"
    )
    adding.add_argument(
        "--choice", action="append", default=[], help="a button under the answer; again for more"
    )
    adding.add_argument("--form", help="the form that begins (`form list`)")
    adding.add_argument("--when", choices=("always", "open", "closed"), default="always")
    adding.add_argument("--hand-over", action="store_true", help="a person takes over")
    _of_tenant(_command(rules, "list", list_rules, "all rules, in the order in which they are tried"))
    removing = _command(rules, "remove", remove_rule, "remove a rule by its pattern")
    removing.add_argument("--tenant", required=True)
    removing.add_argument("--pattern", required=True)
    _file(_command(rules, "import", import_rules, "put a file's rules in place of all that there are"))
    _of_tenant(_command(rules, "export", export_rules, "the rules as `import` takes them"))
    _command(rules, "schema", rule_schema, "the JSON Schema of such a file, for an editor").set_defaults(
        needs_store=False
    )

    forms = _group(commands, "form", "small forms that rules may begin")
    _of_tenant(_command(forms, "list", list_forms, "all forms"))
    _file(_command(forms, "import", import_forms, "put a file's forms in place of all that there are"))
    _of_tenant(_command(forms, "export", export_forms, "the forms as `import` takes them"))
    _command(forms, "schema", form_schema, "the JSON Schema of such a file, for an editor").set_defaults(
        needs_store=False
    )
    results = _command(forms, "results", form_results, "what customers filled in, the latest first")
    results.add_argument("--tenant", required=True)
    results.add_argument("--limit", type=int, default=50)
    results.add_argument("form")


def _of_tenant(command: argparse.ArgumentParser) -> None:
    command.add_argument("--tenant", required=True)


def _file(command: argparse.ArgumentParser) -> None:
    _of_tenant(command)
    command.add_argument("file", type=Path, metavar="FILE", help="JSON, as `schema` describes it")


def _loaded(path: Path, name: str) -> Any:
    """The list in a file. Raises Invalid."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise Invalid("FILE", f"a file that can be read, not {path}: {error.strerror}") from None
    if len(raw) > MOST_BYTES:
        raise Invalid("FILE", f"at most {MOST_BYTES // 1024} kB")
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Invalid("FILE", f"JSON: {str(error)[:200]}") from None
    return found.get(name) if isinstance(found, dict) else found


async def add_rule(context: Context, args: argparse.Namespace) -> None:
    rule = Rule(
        args.pattern, args.answer, args.regex, tuple(args.choice), args.form, args.when, args.hand_over
    )
    if wrong := check_rule(rule):
        raise Invalid("--pattern, --answer or --choice", wrong)
    tenant = await context.store.directory.tenant(args.tenant)
    same = (rule.pattern, rule.regex, rule.when)
    rules = [*(r for r in tenant.rules if (r.pattern, r.regex, r.when) != same), rule]
    check_rules(rules, tenant.answers.forms)
    await context.store.directory.set_rules(tenant.id, rules)
    context.show({"rules": len(rules)}, lambda: [f"Rules: {len(rules)}."])


async def list_rules(context: Context, args: argparse.Namespace) -> None:
    tenant = await context.store.directory.tenant(args.tenant)
    rows = [RuleShape.of(r).model_dump() for r in tenant.rules]
    columns = ("pattern", "regex", "when", "form", "answer")
    context.table(rows, columns, "No rules yet: `rule add --help`")


async def remove_rule(context: Context, args: argparse.Namespace) -> None:
    tenant = await context.store.directory.tenant(args.tenant)
    rules = [r for r in tenant.rules if r.pattern != args.pattern]
    if len(rules) == len(tenant.rules):
        raise Failed(f"no rule with the pattern {args.pattern!r}: `rule list` shows them")
    await context.store.directory.set_rules(tenant.id, rules)
    context.show({"rules": len(rules)}, lambda: [f"Rules left: {len(rules)}."])


async def import_rules(context: Context, args: argparse.Namespace) -> None:
    tenant = await context.store.directory.tenant(args.tenant)
    rules = read_rules(_loaded(args.file, "rules"))
    check_rules(rules, tenant.answers.forms)
    await context.store.directory.set_rules(tenant.id, rules)
    context.show({"rules": len(rules)}, lambda: [f"Rules: {len(rules)}."])


async def export_rules(context: Context, args: argparse.Namespace) -> None:
    tenant = await context.store.directory.tenant(args.tenant)
    _print(context, {"rules": [RuleShape.of(r).model_dump() for r in tenant.rules]})


async def rule_schema(context: Context, args: argparse.Namespace) -> None:
    _print(context, schema(RuleBook))


async def list_forms(context: Context, args: argparse.Namespace) -> None:
    tenant = await context.store.directory.tenant(args.tenant)
    begun = {r.form: r.pattern for r in tenant.rules if r.form}
    rows = [
        {
            "name": f.name,
            "fields": ", ".join(a.name for a in f.fields),
            "begun_by": begun.get(f.name),
            "hand_over": f.hand_over,
        }
        for f in tenant.answers.forms
    ]
    context.table(rows, ("name", "fields", "begun_by", "hand_over"), "No forms yet: `form import --help`")


async def import_forms(context: Context, args: argparse.Namespace) -> None:
    tenant = await context.store.directory.tenant(args.tenant)
    forms = read_forms(_loaded(args.file, "forms"))
    check_forms(forms)
    without_form(tenant, [f.name for f in forms])
    await context.store.directory.set_answers(tenant.id, replace(tenant.answers, forms=forms), rev=tenant.rev)
    context.show({"forms": len(forms)}, lambda: [f"Forms: {len(forms)}."])


async def export_forms(context: Context, args: argparse.Namespace) -> None:
    tenant = await context.store.directory.tenant(args.tenant)
    _print(context, {"forms": [FormShape.of(f).model_dump() for f in tenant.answers.forms]})


async def form_schema(context: Context, args: argparse.Namespace) -> None:
    _print(context, schema(FormBook))


async def form_results(context: Context, args: argparse.Namespace) -> None:
    tenant = await context.store.directory.tenant(args.tenant)
    if not 1 <= args.limit <= 1000:
        raise Invalid("--limit", "1 to 1000")
    found = await context.store.of(tenant.id).submissions.of_form(args.form, args.limit)
    rows = [
        {
            "id": s.id,
            "at": s.at,
            "conversation": s.conversation,
            "contact": s.contact,
            "values": dict(s.values),
        }
        for s in found
    ]
    shown = [
        {**r, "values": "; ".join(f"{k}: {v}" for k, v in s.values)} for r, s in zip(rows, found, strict=True)
    ]
    if context.as_json or not rows:
        context.table(rows, (), f"Nobody has filled in {args.form} yet.")
    else:
        context.table(shown, ("at", "conversation", "values"), "")


def _print(context: Context, value: Any) -> None:
    """What goes into a file is JSON whether or not it was asked for."""
    context.show(value, lambda: [json.dumps(value, ensure_ascii=False, indent=2)])
