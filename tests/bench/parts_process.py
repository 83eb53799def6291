"""The baselines, as a process of their own: `python -m tests.bench.parts_process`, with DATA_DIR and WHATSAPP_API_URL.

`POST /bare`: a bare aiohttp handler that verifies the same signature, parses the body and makes one journaled insert of
its own. `POST /parts?n=N`: the sum of an exchange's parts, N times, each by the plainest code that does it: verify and
parse, the same database calls, the POSTs. It answers with the processor seconds that they took.
"""

import asyncio
import hashlib
import hmac
import itertools
import json
import os
from datetime import UTC, datetime

import aiohttp
import uvloop
from aiohttp import web
from pymongo import UpdateOne

from gateway.settings import load
from gateway.store.database import connect, database
from gateway.store.embedded import embedded
from tests.bench.gateway_process import APP_SECRET, TOKEN
from tests.bench.rig import own_cpu
from tests.providers.graph_webhooks import signed, text_webhook


def verified(headers: str, body: bytes) -> dict[str, object]:
    digest = "sha256=" + hmac.new(APP_SECRET.encode(), body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(digest, headers):
        raise web.HTTPUnauthorized
    found: dict[str, object] = json.loads(body)
    return found


async def main() -> None:
    settings = load(os.environ)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(15, stop.set)
    numbers = itertools.count()
    async with embedded(settings.data_dir, print) as uri:
        client = connect(uri)
        messages, conversations = database(client)["messages"], database(client)["conversations"]
        await messages.create_index([("tenant", 1), ("conversation", 1), ("seq", 1)])

        async def bare(request: web.Request) -> web.Response:
            body = await request.read()
            found = verified(request.headers["X-Hub-Signature-256"], body)
            await messages.insert_one({"_id": f"b{next(numbers)}", "body": found, "at": datetime.now(UTC)})
            return web.Response()

        async def parts(request: web.Request) -> web.Response:
            count = int(request.query["n"])
            await conversations.insert_one({"_id": "c", "tenant": "t", "rev": 0})
            before = own_cpu()
            async with aiohttp.ClientSession() as http:
                for _ in range(count):
                    await one(http)
            return web.json_response({"cpu": own_cpu() - before})

        async def one(http: aiohttp.ClientSession) -> None:
            number, now = next(numbers), datetime.now(UTC)
            body = text_webhook("34600111222", "Are you open?", f"wamid.{number}", int(now.timestamp()))
            verified(signed(body, APP_SECRET)["X-Hub-Signature-256"], body)
            doc = {
                "tenant": "t",
                "conversation": "c",
                "seq": number,
                "at": now,
                "content": {"type": "text", "text": "x" * 40},
            }
            await messages.insert_many([{"_id": f"i{number}", **doc}], ordered=False)
            await messages.find({"tenant": "t", "conversation": "c", "seq": number}).to_list()
            await conversations.find_one({"_id": "c", "tenant": "t"})
            await messages.insert_many([{"_id": f"o{number}", **doc}], ordered=False)
            await conversations.update_one(
                {"_id": "c", "tenant": "t"}, {"$set": {"rev": number, "last_at": now}}
            )
            await messages.bulk_write(
                [UpdateOne({"_id": f"{x}{number}", "tenant": "t"}, {"$set": {"status": 1}}) for x in "io"]
            )
            await messages.update_one(
                {"_id": f"o{number}", "tenant": "t"}, {"$set": {"status": 2, "provider_id": "w"}}
            )
            headers = {"Authorization": f"Bearer {TOKEN}"}
            url = f"{settings.whatsapp_api_url}/v23.0/1000000000000/messages"
            read = {"messaging_product": "whatsapp", "status": "read", "message_id": f"wamid.{number}"}
            said = {
                "messaging_product": "whatsapp",
                "recipient_type": "individual",
                "to": "34600111222",
                "type": "text",
                "text": {"body": "The shop is open from ten to six.", "preview_url": False},
            }
            for payload in (read, said):
                async with http.post(url, json=payload, headers=headers) as answer:
                    await answer.json()

        app = web.Application()
        app.add_routes([web.post("/bare", bare), web.post("/parts", parts)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        print(f"READY http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
        await stop.wait()
        await runner.cleanup()
        await client.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(main())
