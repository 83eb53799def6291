"""Rules and small forms as data: one shape for the API, for `rule import` and for an editor (`rule schema`)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from brain.rules import check_rule
from gateway.api import shapes
from gateway.api.openapi import Operation
from gateway.model.answers import Ask, FieldKind, FormRule, Rule, Submission
from gateway.model.errors import Conflict, Invalid, NotFound
from gateway.model.tenant import Tenant
from gateway.store import Store

MOST_RULES = 500
MOST_FORMS = 50

Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\w-]+$")]
Line = Annotated[str, Field(min_length=1, max_length=1000)]


class RuleShape(shapes.Shape):
    """A keyword answer, tried before anything is searched; the first that fits answers."""

    pattern: Annotated[
        str, Field(min_length=1, description="The whole message, whatever its case, accents and punctuation")
    ]
    answer: Annotated[str, Field(min_length=1, description="What is said")]
    regex: Annotated[
        bool, Field(description="The pattern is an expression, searched for anywhere in the message")
    ] = False
    choices: Annotated[
        list[str],
        Field(
            default_factory=list, description="Buttons under the answer; each means what it says, as if typed"
        ),
    ]
    form: Annotated[str | None, Field(description="The name of the form that begins")] = None
    when: Annotated[
        Literal["always", "open", "closed"], Field(description="Only while the business is open, or closed")
    ] = "always"
    hand_over: Annotated[bool, Field(description="A person takes over")] = False

    @classmethod
    def of(cls, r: Rule) -> "RuleShape":
        return cls(**{**{f: getattr(r, f) for f in cls.model_fields}, "choices": list(r.choices)})

    def rule(self) -> Rule:
        return Rule(**{**self.model_dump(), "choices": tuple(self.choices)})


class RuleBook(shapes.Shape):
    rules: Annotated[list[RuleShape], Field(max_length=MOST_RULES)]


class AskShape(shapes.Shape):
    """A field of a form, asked for in its turn."""

    name: Name
    question: Line
    kind: FieldKind = "text"
    required: bool = True
    choices: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=20)]], Field(default_factory=list, max_length=9)
    ]
    least: float | None = None
    most: float | None = None


class FormShape(shapes.Shape):
    """A small form: its fields are asked for one after the other, each answer is checked, and it can be left at any time."""

    name: Name
    fields: Annotated[list[AskShape], Field(min_length=1, max_length=20)]
    done: Annotated[Line, Field(description="What is said at the end")]
    hand_over: Annotated[bool, Field(description="A person takes over at the end")] = False

    @classmethod
    def of(cls, f: FormRule) -> "FormShape":
        fields = [
            AskShape(**{**{n: getattr(a, n) for n in AskShape.model_fields}, "choices": list(a.choices)})
            for a in f.fields
        ]
        return cls(name=f.name, fields=fields, done=f.done, hand_over=f.hand_over)

    def form(self) -> FormRule:
        fields = tuple(Ask(**{**a.model_dump(), "choices": tuple(a.choices)}) for a in self.fields)
        return FormRule(self.name, fields, self.done, self.hand_over)


class FormBook(shapes.Shape):
    forms: Annotated[list[FormShape], Field(max_length=MOST_FORMS)]


class SubmissionShape(shapes.Shape):
    id: str
    at: str
    channel: str
    contact: str
    conversation: str
    values: dict[str, str]

    @classmethod
    def of(cls, s: Submission) -> "SubmissionShape":
        return cls(
            id=s.id,
            at=s.at.isoformat(),
            channel=s.channel,
            contact=s.contact,
            conversation=s.conversation,
            values=dict(s.values),
        )


class SubmissionList(shapes.Shape):
    items: list[SubmissionShape]


def read_rules(data: Any, where: str = "rules") -> tuple[Rule, ...]:
    """A list of rules as JSON gives it. Raises Invalid, naming the rule by its place and the field."""
    return tuple(s.rule() for s in _read(TypeAdapter(list[RuleShape]), data, where))


def read_forms(data: Any, where: str = "forms") -> tuple[FormRule, ...]:
    """A list of forms as JSON gives it. Raises Invalid."""
    return tuple(s.form() for s in _read(TypeAdapter(list[FormShape]), data, where))


def check_rules(rules: Sequence[Rule], forms: Sequence[FormRule], where: str = "rules") -> None:
    """Raises Invalid, naming the first rule that would not work."""
    if len(rules) > MOST_RULES:
        raise Invalid(where, f"at most {MOST_RULES} rules, not {len(rules)}")
    names = {form.name for form in forms}
    for place, rule in enumerate(rules):
        if wrong := check_rule(rule):
            raise Invalid(f"{where}.{place}", f"a rule that works: {wrong}")
        if rule.form is not None and rule.form not in names:
            known = ", ".join(sorted(names)) or "none yet"
            raise Invalid(f"{where}.{place}.form", f"the name of a form ({known})")


def check_forms(forms: Sequence[FormRule], where: str = "forms") -> None:
    """Raises Invalid, naming the first form that would not work."""
    if len({form.name for form in forms}) < len(forms):
        raise Invalid(where, "forms of different names")
    for place, form in enumerate(forms):
        if len({ask.name for ask in form.fields}) < len(form.fields):
            raise Invalid(f"{where}.{place}.fields", "fields of different names")
        for number, ask in enumerate(form.fields):
            here = f"{where}.{place}.fields.{number}"
            if (ask.kind == "choice") != bool(ask.choices):
                raise Invalid(f"{here}.choices", "choices for the kind `choice`, and for no other")
            if ask.kind != "number" and (ask.least is not None or ask.most is not None):
                raise Invalid(f"{here}.least", "bounds for the kind `number` only")
            if ask.least is not None and ask.most is not None and ask.least > ask.most:
                raise Invalid(f"{here}.most", f"a number that is not below {ask.least:g}")


def schema(of: type[RuleBook] | type[FormBook]) -> dict[str, Any]:
    """The JSON Schema of a file for `rule import` or `form import`."""
    return of.model_json_schema()


def without_form(tenant: Tenant, names: Sequence[str]) -> None:
    """Raises Conflict where a rule begins a form that would be gone."""
    for rule in tenant.rules:
        if rule.form is not None and rule.form not in names:
            raise Conflict(f"the rule {rule.pattern!r} begins the form {rule.form}: change the rule first")


def _read(form: TypeAdapter[Any], data: Any, where: str) -> Any:
    try:
        return form.validate_python(data)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise Invalid(".".join([where, *(str(p) for p in first["loc"])]), first["msg"]) from None


class RuleOperations:
    def __init__(self, store: Store) -> None:
        self._store = store
        self.operations = (
            Operation("GET", "/rules", "Rules", self.list_rules, RuleBook, tag="answers"),
            Operation("PUT", "/rules", "Change the rules", self.set_rules, RuleBook, body=RuleBook, tag="answers"),
            Operation("GET", "/forms", "Forms", self.list_forms, FormBook, tag="answers"),
            Operation("PUT", "/forms", "Change the forms", self.set_forms, FormBook, body=FormBook, tag="answers"),
            Operation(
                "GET", "/forms/{form}/submissions", "What was filled in", self.list_submissions, SubmissionList,
                query=shapes.LimitQuery, tag="answers",
            ),
        )  # fmt: skip

    async def list_rules(self, tenant: str) -> RuleBook:
        """The rules, in the order in which they are tried."""
        found = await self._store.directory.tenant(tenant)
        return RuleBook(rules=[RuleShape.of(r) for r in found.rules])

    async def set_rules(self, tenant: str, body: RuleBook) -> RuleBook:
        """Put these rules in place of all that there are."""
        found = await self._store.directory.tenant(tenant)
        rules = tuple(s.rule() for s in body.rules)
        check_rules(rules, found.answers.forms, "body.rules")
        await self._store.directory.set_rules(tenant, rules)
        return body

    async def list_forms(self, tenant: str) -> FormBook:
        """The small forms that rules may begin."""
        found = await self._store.directory.tenant(tenant)
        return FormBook(forms=[FormShape.of(f) for f in found.answers.forms])

    async def set_forms(self, tenant: str, body: FormBook) -> FormBook:
        """Put these forms in place of all that there are. One that a rule begins can't be left out."""
        found = await self._store.directory.tenant(tenant)
        forms = tuple(s.form() for s in body.forms)
        check_forms(forms, "body.forms")
        without_form(found, [f.name for f in forms])
        await self._store.directory.set_answers(tenant, replace(found.answers, forms=forms), rev=found.rev)
        return body

    async def list_submissions(self, tenant: str, form: str, query: shapes.LimitQuery) -> SubmissionList:
        """What customers filled in, the latest first."""
        found = await self._store.of(tenant).submissions.of_form(form, query.limit)
        known = {f.name for f in (await self._store.directory.tenant(tenant)).answers.forms}
        if not found and form not in known:
            raise NotFound(f"no form {form}")
        return SubmissionList(items=[SubmissionShape.of(s) for s in found])
