"""Messages: inbox and outbox are both views of this collection.

`todo` says what a message still needs (`turn` or `send`) and is absent once nothing is left to do; `due` is
when to look at it again, and while a message is being sent, when its sender is to be presumed dead. Statuses
are numbers that only `$max` touches, so that none goes back, whatever order receipts come in.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pymongo import UpdateOne

from gateway.model.content import Album
from gateway.model.message import Failure, Message, Status
from gateway.model.permission import Decision
from gateway.store.codec import message_from_doc, message_to_doc
from gateway.store.database import SCHEMA, Database, guarded
from gateway.store.docs import Doc
from gateway.store.group import GroupedInserts, insert_new
from gateway.store.places import hold_places, take_places
from gateway.store.rows import DONE, aside, decided, failure_doc, find_named, update_each

TURN_GRACE = timedelta(seconds=5)
"""How long a fresh message is left to the hint that came with it before the sweeper looks."""

AT_ONCE = timedelta()

ALBUM_WAIT = timedelta(seconds=1.5)
"""How long an album waits for its next file before it is answered."""


@dataclass(frozen=True, slots=True)
class Page:
    """Messages in order; `more` says that there are older ones."""

    messages: tuple[Message, ...]
    more: bool


class Messages:
    """The messages of one tenant."""

    def __init__(self, db: Database, inserts: GroupedInserts, tenant: str) -> None:
        self._messages = db["messages"]
        self._album_parts = db["album_parts"]
        self._bulk = db["bulk"]
        self._inserts = inserts
        self._tenant = tenant

    async def put_incoming(
        self, messages: Sequence[Message], now: datetime, silent: frozenset[str], quiet: timedelta = AT_ONCE
    ) -> list[bool]:
        """Store incoming messages, durably; for each whether it was new. `silent` ones need no turn. With a `quiet` time,
        that of each message ends when it is due."""
        self._own(messages)
        due = now + (quiet or TURN_GRACE)
        docs = [
            message_to_doc(m, None) if m.id in silent else message_to_doc(m, "turn", due=due)
            for m in messages
        ]
        async with guarded():
            return await self._inserts.insert(docs)

    async def limited(self, message: str, limit: str, *, ends: bool, due: datetime | None) -> None:
        """Note on a stored message which limit it was over. `ends`: it is not answered; else its turn may come at `due`."""
        change: Doc = {"$set": {"extra.limited": limit}}
        if ends:
            change["$set"]["status"] = int(Status.HANDLED)
            change["$unset"] = dict(DONE)
        elif due is not None:
            change["$set"]["due"] = due
        async with guarded():
            await self._messages.update_one(
                {"_id": message, "tenant": self._tenant, "status": int(Status.RECEIVED)}, change
            )

    async def put_album(self, message: Message, part: str, now: datetime, turn: bool) -> bool:
        """Store one file of an album: as a message of its own, or added to the one that is there; whether it is new.

        `message` holds that file alone, `part` is the id that it would have as a message. Its turn waits until the rest had
        time to come.
        """
        self._own([message])
        assert isinstance(message.content, Album)
        due = now + ALBUM_WAIT
        doc = message_to_doc(message, "turn" if turn else None, due=due if turn else None, parts={part: True})
        which = {"_id": message.id, "tenant": self._tenant, f"parts.{part}": {"$exists": False}}
        change = {"$push": {"content.items": doc["content"]["items"][0]}, "$set": {f"parts.{part}": True}}
        named = {
            "_id": part,
            "tenant": self._tenant,
            "album": message.id,
            "file": message.content.items[0].file,
        }
        async with guarded():
            # First, so that a change of this file finds its album whenever the album has the file.
            await insert_new(self._album_parts, [named])
            if (await self._inserts.insert([doc]))[0]:
                return True
            if not (await self._messages.update_one(which, change)).modified_count:
                return False
            await self._messages.update_one(
                {"_id": message.id, "tenant": self._tenant, "todo": "turn"}, {"$max": {"due": due}}
            )
        return True

    async def put_echoes(self, messages: Sequence[Message]) -> list[bool]:
        """Store what a person of the business said in the provider's own app; for each whether it is theirs and has not
        been acted upon (`took_effect`): what we sent ourselves is not stored again."""
        self._own(messages)
        ours = await self._by_provider_ids(messages[0].channel, [m.provider_id or "" for m in messages])
        theirs = [m for m in messages if ours.get(m.provider_id or "", m.id) == m.id]
        if not theirs:
            return [False] * len(messages)
        async with guarded():
            new = await self._inserts.insert([message_to_doc(m, None) for m in theirs])
            there = [m.id for m, n in zip(theirs, new, strict=True) if not n]
            known = await find_named(self._messages, "_id", there, {}, {"tenant": 1, "took": 1})
        done = {d["_id"] for d in known if d["tenant"] == self._tenant and d.get("took")}
        left = {m.id for m in theirs} - done
        return [m.id in left for m in messages]

    async def took_effect(self, message: str) -> None:
        """What an echo means for its conversation was done: told again, it means nothing more."""
        async with guarded():
            await self._messages.update_one(
                {"_id": message, "tenant": self._tenant}, {"$set": {"took": True}}
            )

    async def _by_provider_ids(self, channel: str, provider_ids: Sequence[str]) -> dict[str, str]:
        """Our ids by the provider's."""
        which = {"tenant": self._tenant, "channel": channel}
        async with guarded():
            docs = await find_named(self._messages, "provider_id", provider_ids, which, {"provider_id": 1})
        return {d["provider_id"]: d["_id"] for d in docs}

    async def put_queued(self, messages: Sequence[Message]) -> list[bool]:
        """Write outgoing messages of a person; for each whether it is new."""
        self._own(messages)
        async with guarded():
            return await self._inserts.insert([message_to_doc(m, "send") for m in messages])

    async def put_bulk(self, messages: Sequence[Message], now: datetime) -> list[bool]:
        """Write outgoing messages of which there are many: they leave when no reply is in their way. For each whether it is
        new. Their places in their channel's queue are taken first: whoever looks for bulk looks at a few places at a time."""
        self._own(messages)
        assert all(m.bulk for m in messages)
        places: dict[str, int] = {}
        for channel, count in Counter(m.channel for m in messages).items():
            places[channel] = await take_places(self._bulk, self._tenant, channel, count, now)
        docs, next_place = [], dict(places)
        for message in messages:
            docs.append(message_to_doc(message, "bulk", in_bulk=True, place=next_place[message.channel]))
            next_place[message.channel] += 1
        async with guarded():
            new = await self._inserts.insert(docs)
        for channel, first in places.items():
            await hold_places(self._bulk, channel, first)
        return new

    async def renew(self, message: Message, lease: datetime) -> None:
        """Its sending takes long: the claim holds on."""
        async with guarded():
            await self._messages.update_one(self._claimed(message), {"$set": {"due": lease}})

    async def put_outgoing(self, messages: Sequence[Message], run: str) -> list[str]:
        """Write outgoing messages as queued, for one run of a turn; the ids that are its own.

        Ids that are there already are from another run of the same turn. What that run has not begun to send is
        taken over, in its place, so that it can't withdraw it from under us (`withdraw` names a run); the rest stays.
        """
        own: list[str] = []
        self._own(messages)
        left = [message_to_doc(m, "send", run=run) for m in messages]
        while left:
            async with guarded():
                new = await self._inserts.insert(left)
                own += [d["_id"] for d, n in zip(left, new, strict=True) if n]
                there = [d for d, n in zip(left, new, strict=True) if not n]
                left = [d for d in there if not await self._taken_over(d)]
        return own

    async def _taken_over(self, doc: Doc) -> bool:
        """False when it was withdrawn meanwhile, and so can be inserted."""
        which = {"_id": doc["_id"], "tenant": self._tenant}
        # Not its place nor its time: the other run may have committed it, and later answers stand behind it.
        change = {"$set": {"content": doc["content"], "run": doc["run"]}}
        if (await self._messages.update_one({**which, "status": int(Status.QUEUED)}, change)).matched_count:
            return True
        return await self._messages.find_one(which, {"_id": 1}) is not None

    def _own(self, messages: Sequence[Message]) -> None:
        if any(m.tenant != self._tenant for m in messages):
            raise ValueError("a message of another tenant")

    async def work(self, conversation: str) -> list[Message]:
        """Everything of a conversation that still needs something, in order."""
        async with guarded():
            docs = await (
                self._messages.find(
                    {"tenant": self._tenant, "conversation": conversation, "todo": {"$gt": ""}}
                )
                .sort("seq", 1)
                .to_list()
            )
        return [message_from_doc(d) for d in docs]

    async def rehome(self, conversation: str, new: str, now: datetime) -> None:
        """What is left to do in a conversation that has ended in another is done there."""
        left = await self.work(conversation)
        # What is being sent stays until its sender is to be presumed dead.
        ids = [m.id for m in left if m.status is not Status.SENDING or (m.due is not None and m.due <= now)]
        calls = [
            UpdateOne({"_id": i, "tenant": self._tenant}, {"$set": {"conversation": new, "due": now}})
            for i in ids
        ]
        if calls:
            async with guarded():
                await self._messages.bulk_write(calls, ordered=False)

    async def finish_turn(
        self,
        incoming: Sequence[str],
        claim: str | None,
        lease: datetime,
        decision: Decision | None = None,
    ) -> bool:
        """End a turn and, in the same call, claim its first answer for sending, by a decision; whether the claim held."""
        calls = [self._done(i) for i in incoming]
        if claim is not None:
            calls.append(UpdateOne(*self._claim(claim, lease, decision)))
        async with guarded():
            result = await self._messages.bulk_write(calls, ordered=True)
        # Matched, not modified: another process may have ended the same turn. The incoming message always matches.
        return claim is not None and result.matched_count == len(calls)

    def _done(self, incoming: str) -> UpdateOne:
        return UpdateOne(
            {"_id": incoming, "tenant": self._tenant},
            {"$set": {"status": int(Status.HANDLED)}, "$unset": dict(DONE)},
        )

    def _claim(self, message: str, lease: datetime, decision: Decision | None) -> tuple[Doc, Doc]:
        return (
            {"_id": message, "tenant": self._tenant, "status": int(Status.QUEUED)},
            {
                "$set": {"status": int(Status.SENDING), "due": lease, **decided(decision)},
                "$inc": {"attempts": 1},
            },
        )

    async def claim(self, message: str, lease: datetime, decision: Decision | None = None) -> bool:
        """Take a queued message for sending, by a decision; false when somebody else did, or it was withdrawn."""
        async with guarded():
            result = await self._messages.update_one(*self._claim(message, lease, decision))
        return result.modified_count == 1

    async def sent(self, message: str, provider_id: str, at: datetime) -> None:
        """The provider accepted it. A receipt may have come first and then stays."""
        async with guarded():
            await self._messages.update_one(
                {"_id": message, "tenant": self._tenant},
                {
                    "$max": {"status": int(Status.SENT)},
                    "$min": {"times.sent": at},
                    "$set": {"provider_id": provider_id},
                    "$unset": {**DONE, "failure": ""},
                },
            )

    async def retry(self, message: Message, due: datetime, failure: Failure, unknown: bool) -> None:
        """It was not taken (or, `unknown`, may have been): look at it again when it is due. `message` as it was before
        the claim: the number of attempts tells our claim from one that came after it."""
        status = Status.UNKNOWN if unknown else Status.QUEUED
        change: Doc = {"$set": {"status": int(status), "due": due, "failure": failure_doc(failure)}}
        if unknown:
            change["$inc"] = {"unknowns": 1}
        async with guarded():
            await self._messages.update_one(self._claimed(message), change)

    async def give_back(self, message: Message, due: datetime) -> None:
        """It was claimed and not sent after all: as if it had not been."""
        async with guarded():
            await self._messages.update_one(
                self._claimed(message),
                {"$set": {"status": int(Status.QUEUED), "due": due}, "$inc": {"attempts": -1}},
            )

    def _claimed(self, message: Message) -> Doc:
        return {
            "_id": message.id,
            "tenant": self._tenant,
            "status": int(Status.SENDING),
            "attempts": message.attempts + 1,
        }

    async def wait_behind(self, message: Message, due: datetime) -> None:
        """Nothing of the conversation that comes after a waiting message is looked at before it; a reply does not wait
        for bulk."""
        async with guarded():
            await self._messages.update_many(
                {
                    "tenant": self._tenant,
                    "conversation": message.conversation,
                    "todo": "bulk" if message.bulk else "send",
                    "seq": {"$gt": message.seq},
                },
                {"$set": {"due": due}},
            )

    async def wait(self, message: str, due: datetime, failure: Failure) -> None:
        """A queued message waits, with the reason why, and what follows it waits behind it."""
        async with guarded():
            await self._messages.update_one(
                {"_id": message, "tenant": self._tenant, "status": int(Status.QUEUED)},
                {"$set": {"due": due, "failure": failure_doc(failure)}},
            )

    async def hold(self, message: Message, due: datetime, failure: Failure, decision: Decision) -> None:
        """A queued message may not be sent now: it steps aside until it is due, with the reason, and what follows goes on."""
        # With our version: the one before knows no such status, and takes it for the one below.
        change = {"v": SCHEMA, "status": int(Status.HELD), "due": due, "failure": failure_doc(failure)}
        async with guarded():
            await self._messages.update_one(
                {"_id": message.id, "tenant": self._tenant, "status": int(message.status)},
                aside(message, {**change, **decided(decision)}),
            )

    async def hold_back(self, message: Message, due: datetime, failure: Failure, decision: Decision) -> None:
        """As `hold`, for one that was claimed and not taken. `message` as it was before the claim."""
        change = {
            "v": SCHEMA,
            "status": int(Status.HELD),
            "due": due,
            "failure": failure_doc(failure),
            **decided(decision),
        }
        async with guarded():
            await self._messages.update_one(self._claimed(message), aside(message, change))

    async def release(self, messages: Sequence[str], now: datetime) -> None:
        """Held messages are asked about again now."""
        change = {"$set": {"status": int(Status.QUEUED), "due": now}, "$unset": {"failure": ""}}
        # A paused campaign's have nothing left to do, and stay out of the queue.
        held = {"status": int(Status.HELD), "todo": {"$gt": ""}}
        await update_each(self._messages, self._tenant, messages, held, change)

    async def turn_failed(self, incoming: str, due: datetime | None, failure: Failure) -> None:
        """A turn broke: try it again when it is due, or never (None) and leave the reason."""
        change: Doc = {"$set": {"failure": failure_doc(failure)}, "$inc": {"attempts": 1}}
        if due is None:
            change["$set"]["status"] = int(Status.HANDLED)
            change["$unset"] = dict(DONE)
        else:
            change["$set"]["due"] = due
        async with guarded():
            await self._messages.update_one({"_id": incoming, "tenant": self._tenant}, change)

    async def presume_unknown(self, message: str, lease: datetime, due: datetime) -> bool:
        """Its sender died between the provider's acceptance and our record. `lease` is what it had claimed."""
        async with guarded():
            result = await self._messages.update_one(
                {"_id": message, "tenant": self._tenant, "status": int(Status.SENDING), "due": lease},
                {"$set": {"status": int(Status.UNKNOWN), "due": due}, "$inc": {"unknowns": 1}},
            )
        return result.modified_count == 1

    async def requeue(self, message: str, seen: Status, due: datetime, possibly_doubled: bool) -> bool:
        """Queue it again, if it still stands as it was seen."""
        change: Doc = {"status": int(Status.QUEUED), "due": due}
        if possibly_doubled:
            change["possibly_doubled"] = True
        async with guarded():
            result = await self._messages.update_one(
                {"_id": message, "tenant": self._tenant, "status": int(seen)},
                {"$set": change},
            )
        return result.modified_count == 1

    async def end(
        self,
        message: Message,
        seen: Status,
        status: Status,
        failure: Failure,
        decision: Decision | None = None,
    ) -> None:
        """It will not be sent: failed or dead, perhaps by a decision. `seen` is how it stands if nobody came in between;
        `SENDING` means our own claim."""
        which = self._claimed(message)
        if seen is not Status.SENDING:
            which = {"_id": message.id, "tenant": self._tenant, "status": int(seen)}
        change: Doc = {"status": int(status), "failure": failure_doc(failure), **decided(decision)}
        if status is Status.DEAD:
            change["dead"] = True
        async with guarded():
            await self._messages.update_one(which, {"$set": change, "$unset": dict(DONE)})

    async def withdraw(self, messages: Sequence[str], run: str | None = None) -> None:
        """Delete answers that a run of a turn wrote and could not commit, if nobody has taken them to send.

        Without a run: whoever wrote them (the turn is committed, and they are not part of it).
        """
        which: Doc = {"_id": {"$in": list(messages)}, "tenant": self._tenant, "status": int(Status.QUEUED)}
        if run is not None:
            which["run"] = run
        async with guarded():
            await self._messages.delete_many(which)

    async def cancel_bot(
        self, conversation: str, failure: Failure, but: Sequence[str] = (), campaigns: bool = True
    ) -> None:
        """Withdraw what the bot had queued: a person owns the conversation now (then what `campaigns` say only waits), or the
        customer said stop. `but` stays."""
        standing = {"status": {"$in": [int(Status.QUEUED), int(Status.HELD), int(Status.UNKNOWN)]}}
        change = {
            "$set": {"status": int(Status.CANCELLED), "failure": failure_doc(failure)},
            "$unset": dict(DONE),
        }
        left = await self.work(conversation)
        ours = [m for m in left if m.direction == "out" and m.author == "bot" and m.id not in but]
        # That a STOP was heard is told whoever owns the conversation.
        ids = [
            m.id for m in ours if campaigns or (m.campaign is None and m.extra.get("announces") != "stopped")
        ]
        await update_each(self._messages, self._tenant, ids, standing, change)

    async def get(self, message: str) -> Message | None:
        async with guarded():
            doc = await self._messages.find_one({"_id": message, "tenant": self._tenant})
        return message_from_doc(doc) if doc else None

    async def before(self, conversation: str, seq: int | None, limit: int) -> Page:
        """The latest messages of a conversation, or those before a cursor; oldest first."""
        which: Doc = {"tenant": self._tenant, "conversation": conversation}
        if seq is not None:
            which["seq"] = {"$lt": seq}
        async with guarded():
            docs = await self._messages.find(which).sort("seq", -1).limit(limit + 1).to_list()
        return Page(tuple(message_from_doc(d) for d in reversed(docs[:limit])), len(docs) > limit)

    async def after(self, conversation: str, seq: int, limit: int) -> Page:
        """Messages after a cursor, oldest first; `more` says that there are newer ones."""
        async with guarded():
            docs = (
                await self._messages.find(
                    {"tenant": self._tenant, "conversation": conversation, "seq": {"$gt": seq}}
                )
                .sort("seq", 1)
                .limit(limit + 1)
                .to_list()
            )
        return Page(tuple(message_from_doc(d) for d in docs[:limit]), len(docs) > limit)
