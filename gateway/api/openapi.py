"""A small decorator over pydantic: what an operation takes and gives, once, for checking and for OpenAPI 3.1."""

import inspect
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from pydantic import BaseModel, TypeAdapter, ValidationError

from gateway import __version__
from gateway.ops.problems import problem

MAX_BODY = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Operation:
    """`call(tenant, path parameters, query, body)` answers with a model, or None for 204."""

    method: str
    path: str
    summary: str
    call: Callable[..., Awaitable[BaseModel | None]]
    answer: type[BaseModel] | None
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    tag: str = ""
    upload: bool = False
    """The body is a file: the operation is given the bytes as they come (`chunks`)."""

    @property
    def name(self) -> str:
        return self.call.__name__


class BadRequest(Exception):
    """What a caller sent does not fit; `errors` name the fields."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        self.errors = errors

    def answer(self) -> web.Response:
        return problem(422, "invalid", "Some fields are not as expected.", self.errors)


def checked(model: type[BaseModel], value: Any, where: str) -> BaseModel:
    """The value as the model, unknown keys refused. Raises BadRequest."""
    try:
        read = model.model_validate(value)
    except ValidationError as error:
        raise BadRequest(
            [
                {"field": _named(where, e["loc"]), "expected": e["msg"]}
                for e in error.errors(include_input=False, include_url=False)
            ]
        ) from None
    # `content` is checked, and its fields named, by whoever reads it.
    given = {k: v for k, v in value.items() if k != "content"} if isinstance(value, dict) else value
    if (path := next(_unwritable(given, ()), None)) is not None:
        told = "text without halves of characters (lone surrogates), names without NUL, numbers of at most 64 bits"
        raise BadRequest([{"field": _named(where, path), "expected": told}])
    return read


def _unwritable(value: object, path: tuple[int | str, ...]) -> Iterator[tuple[int | str, ...]]:
    """Where in it something stands that no store takes."""
    match value:
        case str() if not _is_text(value):
            yield path
        case int() if not -(2**63) <= value < 2**63:
            yield path
        case dict():
            for name, item in value.items():
                if "\x00" in name or not _is_text(name):
                    yield path
                yield from _unwritable(item, (*path, name))
        case list():
            for number, item in enumerate(value):
                yield from _unwritable(item, (*path, number))


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _named(where: str, path: Sequence[int | str]) -> str:
    """A field's name; a key of the caller's own may hold what can't be written."""
    return ".".join([where, *(str(p)[:64] for p in path)]).encode("utf-8", "replace").decode()


async def read_json(request: web.Request) -> Any:
    """The body as JSON. Raises BadRequest."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise BadRequest([{"field": "body", "expected": "an uncompressed body"}])
    if request.content_length is not None and request.content_length > MAX_BODY:
        raise BadRequest([{"field": "body", "expected": f"at most {MAX_BODY} bytes"}])
    try:
        return json.loads(await request.read())
    except (ValueError, RecursionError, web.HTTPRequestEntityTooLarge):
        raise BadRequest([{"field": "body", "expected": "JSON"}]) from None


def document(operations: Sequence[Operation], server: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document of all operations."""
    models = {m for o in operations for m in (o.answer, o.body) if m is not None} | {Problem}
    adapters = [
        (m.__name__, "serialization", TypeAdapter(m)) for m in sorted(models, key=lambda m: m.__name__)
    ]
    _, schemas = TypeAdapter.json_schemas(
        adapters,  # type: ignore[arg-type]
        ref_template="#/components/schemas/{model}",
    )
    definitions = dict(schemas.get("$defs", {}))
    for model in models:
        definitions.setdefault(
            model.__name__, model.model_json_schema(ref_template="#/components/schemas/{model}")
        )
    paths: dict[str, Any] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Parley", "version": __version__, "description": "REST API of a Parley gateway."},
        "servers": [{"url": server}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": definitions,
        },
    }


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    status: int
    code: str
    detail: str
    errors: list[dict[str, str]] = []


def _described(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": inspect.getdoc(operation.call) or operation.summary,
        "tags": [operation.tag],
        "parameters": [
            {"name": n, "in": "path", "required": True, "schema": {"type": "string"}}
            for n in _path_names(operation.path)
        ]
        + _query_parameters(operation.query),
        "responses": {
            **_success(operation.answer),
            **{
                s: _problem(t)
                for s, t in (("401", "No valid key"), ("404", "No such id"), ("422", "Wrong fields"))
            },
        },
    }
    if operation.body is not None:
        schema = {"$ref": f"#/components/schemas/{operation.body.__name__}"}
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    if operation.upload:
        binary = {"type": "string", "format": "binary"}
        described["requestBody"] = {
            "required": True,
            "content": {"application/octet-stream": {"schema": binary}},
        }
    return described


def _path_names(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


def _query_parameters(model: type[BaseModel] | None) -> list[dict[str, Any]]:
    if model is None:
        return []
    schema = model.model_json_schema()
    required = schema.get("required", [])
    return [
        {"name": n, "in": "query", "required": n in required, "schema": s}
        for n, s in schema["properties"].items()
    ]


def _success(answer: type[BaseModel] | None) -> dict[str, Any]:
    if answer is None:
        return {"204": {"description": "Done"}}
    schema = {"$ref": f"#/components/schemas/{answer.__name__}"}
    return {"200": {"description": "OK", "content": {"application/json": {"schema": schema}}}}


def _problem(title: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": title, "content": {"application/problem+json": {"schema": schema}}}
