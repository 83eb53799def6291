"""The console: sign in by a one-time link; conversations, one conversation, leads.

A session is an opaque cookie and a row in the store, so it can be ended. Signing in and out are POSTs: a mail scanner
that follows the link uses nothing up.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from jinja2 import Environment, PackageLoader, select_autoescape

from gateway.console.again import Asked, TemplateForm, refusal, window_shown
from gateway.console.learning import Learning
from gateway.desk import Desk
from gateway.files import FileLinks
from gateway.model.content import Album, Content, Edit, Media, plain_text
from gateway.model.errors import Conflict, Invalid, NotFound
from gateway.model.ports import Clock
from gateway.questions import Questions
from gateway.reopen import Reopen
from gateway.store import Store
from gateway.store.access import Session

COOKIE = "parley_session"
PAGE = 50
POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

Page = Callable[[web.Request, Session], Awaitable[web.Response]]


class Console:
    def __init__(
        self,
        store: Store,
        clock: Clock,
        secure: bool,
        links: FileLinks,
        desk: Desk,
        reopen: Reopen,
        questions: Questions,
    ) -> None:
        self._learning = Learning(store, questions, clock)
        self._links = links
        self._desk = desk
        self._reopen = reopen
        self._store = store
        self._clock = clock
        self._secure = secure
        self._templates = Environment(
            loader=PackageLoader("gateway.console"),
            autoescape=select_autoescape(default=True),
            auto_reload=False,
        )
        self._templates.filters["text"] = plain_text
        self._templates.filters["moment"] = _moment
        self._templates.filters["media"] = _media
        self._templates.filters["size"] = _size
        self._templates.filters["refusal"] = refusal
        self._css = files("gateway.console").joinpath("static/console.css").read_text(encoding="utf-8")

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/console", self._signed_in(self.conversations)),
            web.get("/console/conversations/{conversation}", self._signed_in(self.conversation)),
            web.post("/console/conversations/{conversation}/template", self._signed_in(self.send_template)),
            web.post("/console/conversations/{conversation}/rate", self._signed_in(self.rate)),
            web.post("/console/conversations/{conversation}/keep", self._signed_in(self.keep)),
            web.get("/console/leads", self._signed_in(self.leads)),
            web.get("/console/questions", self._signed_in(self.questions)),
            web.post("/console/questions/{gap}", self._signed_in(self.settle)),
            web.get("/console/sign-in", self.sign_in_page),
            web.post("/console/sign-in", self.sign_in),
            web.post("/console/sign-out", self.sign_out),
            web.get("/console/console.css", self.css),
        ]

    def _signed_in(self, page: Page) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            secret = request.cookies.get(COOKIE)
            session = await self._store.access.session(secret, self._clock()) if secret else None
            if session is None:
                return self._render("sign_in.html", {"link": "", "failed": False}, status=401)
            return await page(request, session)

        return handle

    async def conversations(self, request: web.Request, session: Session) -> web.Response:
        found = await self._store.of(session.tenant).conversations.recent(
            _before(request), self._clock(), PAGE
        )
        channels = {c.id: c for c in await self._store.directory.channels(session.tenant)}
        return self._render(
            "conversations.html",
            {"session": session, "page": found, "channels": channels, "here": "conversations"},
        )

    async def conversation(self, request: web.Request, session: Session) -> web.Response:
        chosen = request.query.get("template", "")[:100]
        return await self._conversation(request, session, Asked(chosen))

    async def send_template(self, request: web.Request, session: Session) -> web.Response:
        """Send the chosen template, or show it with what was filled in."""
        form = await _form(request)
        if not same_origin(request) or form.get("csrf") != session.csrf:
            return self._render("missing.html", {"session": session, "here": ""}, status=403)
        asked = Asked.of(form)
        if form.get("do") != "send":
            return await self._conversation(request, session, asked)
        conversation = request.match_info["conversation"]
        try:
            template = await self._store.of(session.tenant).templates.get(asked.template)
            if template is None:
                raise Conflict("That template is not there any more: choose another.")
            await self._desk.say_template(
                session.tenant,
                conversation,
                template.name,
                template.language,
                {k: v for k, v in asked.values.items() if v.strip()},
                asked.key or None,
                session.user.name,
            )
        except NotFound:
            return self._render("missing.html", {"session": session, "here": ""}, status=404)
        except Invalid as error:
            told = f"{error.field.removeprefix('values.')}: expected {error.expected}."
            return await self._conversation(request, session, replace(asked, wrong=told), 422)
        except Conflict as error:
            return await self._conversation(request, session, replace(asked, wrong=str(error)), 409)
        return web.Response(status=303, headers={"Location": f"/console/conversations/{conversation}"})

    async def _conversation(
        self, request: web.Request, session: Session, asked: Asked, status: int = 200, told: str = ""
    ) -> web.Response:
        store = self._store.of(session.tenant)
        conversation = await store.conversations.get(request.match_info["conversation"])
        if conversation is None:
            return self._render("missing.html", {"session": session, "here": ""}, status=404)
        before = _seq(request.query.get("before", ""))
        page = await store.messages.before(conversation.id, before, PAGE)
        channel = await self._store.directory.channel(conversation.channel)
        window = window_shown(channel, conversation, self._clock())
        values = {
            "session": session,
            "conversation": conversation,
            "channel": channel,
            "page": page,
            "files": await self._files(session.tenant, [m.content for m in page.messages]),
            "window": window,
            "form": None,
            "told": told,
            "rated": await store.asked.thumbs(
                [m.turn for m in page.messages if m.turn and m.author == "bot"]
            ),
            "here": "",
        }
        if window is not None and not window.open and not conversation.merged_into:
            offers = await self._reopen.offers(session.tenant, conversation.id, session.user.name)
            values["form"] = TemplateForm.of(offers, asked)
        return self._render("conversation.html", values, status)

    async def _files(self, tenant: str, contents: Sequence[Content]) -> dict[str, dict[str, Any]]:
        """By id, the files of these messages: their records and where to fetch them."""
        media = [m for c in contents for m in _media(c)]
        found = await self._store.of(tenant).files.some([m.file for m in media if m.file])
        return {
            i: {
                "file": f,
                "url": self._links.of(tenant, i) if f.state == "ready" else None,
                "thumbnail": self._links.of(tenant, i, "thumbnail") if f.thumbnail else None,
            }
            for i, f in found.items()
        }

    async def leads(self, request: web.Request, session: Session) -> web.Response:
        found = await self._store.of(session.tenant).conversations.leads(
            _before(request), self._clock(), PAGE
        )
        return self._render("leads.html", {"session": session, "page": found, "here": "leads"})

    async def questions(self, request: web.Request, session: Session) -> web.Response:
        page = await self._learning.page(session.tenant)
        return self._render("questions.html", {"session": session, "page": page, "here": "questions"})

    async def settle(self, request: web.Request, session: Session) -> web.Response:
        """An answer to a question that had none, or that it needs none."""
        form = await _form(request)
        if not same_origin(request) or form.get("csrf") != session.csrf:
            return self._render("missing.html", {"session": session, "here": ""}, status=403)
        try:
            page = await self._learning.settle(session.tenant, request.match_info["gap"], form)
        except NotFound:
            return self._render("missing.html", {"session": session, "here": ""}, status=404)
        if page is None:
            return web.Response(status=303, headers={"Location": "/console/questions"})
        return self._render("questions.html", {"session": session, "page": page, "here": "questions"}, 422)

    async def rate(self, request: web.Request, session: Session) -> web.Response:
        """What an agent thinks of one of the bot's answers."""
        form = await _form(request)
        if not same_origin(request) or form.get("csrf") != session.csrf:
            return self._render("missing.html", {"session": session, "here": ""}, status=403)
        try:
            await self._learning.rate(session.tenant, form.get("asked", "")[:64], form.get("thumb", ""))
        except NotFound:
            return self._render("missing.html", {"session": session, "here": ""}, status=404)
        where = f"/console/conversations/{request.match_info['conversation']}"
        return web.Response(status=303, headers={"Location": where})

    async def keep(self, request: web.Request, session: Session) -> web.Response:
        """An agent's answer becomes knowledge."""
        form = await _form(request)
        if not same_origin(request) or form.get("csrf") != session.csrf:
            return self._render("missing.html", {"session": session, "here": ""}, status=403)
        try:
            wrong = await self._learning.keep(session.tenant, form.get("message", "")[:64])
        except NotFound:
            return self._render("missing.html", {"session": session, "here": ""}, status=404)
        if wrong:
            return await self._conversation(request, session, Asked(""), 422, wrong)
        return web.Response(status=303, headers={"Location": "/console/questions"})

    async def sign_in_page(self, request: web.Request) -> web.Response:
        return self._render("sign_in.html", {"link": request.query.get("link", ""), "failed": False})

    async def sign_in(self, request: web.Request) -> web.Response:
        if not same_origin(request):
            return self._render("sign_in.html", {"link": "", "failed": True}, status=403)
        form = await _form(request)
        link = form.get("link")
        secret = (
            await self._store.access.use_link(link, self._clock()) if isinstance(link, str) and link else None
        )
        if secret is None:
            return self._render("sign_in.html", {"link": "", "failed": True}, status=401)
        response = web.Response(status=303, headers={"Location": "/console"})
        response.set_cookie(
            COOKIE,
            secret,
            httponly=True,
            samesite="Lax",
            secure=self._secure,
            path="/console",
            max_age=12 * 3600,
        )
        return response

    async def sign_out(self, request: web.Request) -> web.Response:
        secret = request.cookies.get(COOKIE, "")
        session = await self._store.access.session(secret, self._clock()) if secret else None
        form = await _form(request)
        response = web.Response(status=303, headers={"Location": "/console"})
        # Without the token it may be another site's form: that one may not even take the cookie away.
        if session is not None and form.get("csrf") == session.csrf:
            await self._store.access.end_session(secret)
            response.del_cookie(COOKIE, path="/console")
        return response

    async def css(self, request: web.Request) -> web.Response:
        return web.Response(text=self._css, content_type="text/css", headers={"Cache-Control": "max-age=300"})

    def _render(self, template: str, values: dict[str, Any], status: int = 200) -> web.Response:
        return web.Response(
            status=status,
            text=self._templates.get_template(template).render(values),
            content_type="text/html",
            headers={
                "Content-Security-Policy": POLICY,
                "Cache-Control": "no-store",
                # Not "no-referrer": with it browsers hide a form's origin from us, too.
                "Referrer-Policy": "same-origin",
            },
        )


def _media(content: Content) -> Sequence[Media]:
    """The files that a message carries."""
    inner = content.content if isinstance(content, Edit) else content
    return inner.items if isinstance(inner, Album) else (inner,) if isinstance(inner, Media) else ()


def _seq(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else None


def _size(size: int) -> str:
    return f"{size / 2**20:.1f} MB" if size >= 2**20 else f"{max(1, size // 1024)} kB"


def same_origin(request: web.Request) -> bool:
    """Whether a form was sent by a page of ours: browsers say so, and others need no protection."""
    if site := request.headers.get("Sec-Fetch-Site"):
        return site in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.host


async def _form(request: web.Request) -> dict[str, str]:
    """The text fields of a form; one that can't be read has none."""
    try:
        return {k: v for k, v in (await request.post()).items() if isinstance(v, str)}
    except (ValueError, LookupError):
        return {}


def _before(request: web.Request) -> datetime | None:
    """The page's cursor; one that is not a time with a zone is no cursor."""
    try:
        moment = datetime.fromisoformat(request.query.get("before", ""))
    except ValueError:
        return None
    return moment if moment.tzinfo and 1970 <= moment.year < 9000 else None


def _moment(value: datetime | None) -> str:
    return value.strftime("%Y-%m-%d %H:%M UTC") if value else ""
