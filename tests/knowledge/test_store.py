"""Documents in the database: drafts, collections, and that removal leaves nothing."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.model.errors import Conflict, Invalid, NotFound, StoreError
from gateway.model.knowledge import MAIN, Chunk, Collection, Document
from gateway.store import Store
from tests.conftest import MovableClock, make_site, make_tenant

Doc = dict[str, Any]


def document(ident: str = "d", clock: MovableClock | None = None, **more: Any) -> Document:
    values: Doc = {"title": ident.upper(), "origin": f"{ident}.md", "checksum": "x", "chunks": 1} | more
    return Document(id=ident, tenant="acme", added=(clock or MovableClock())(), **values)


def passages(ident: str, *texts: str) -> list[Chunk]:
    return [Chunk(f"{ident}-{n}", ident, n, text, vector=b"\0\0") for n, text in enumerate(texts)]


async def put(store: Store, ident: str, *texts: str, **more: Any) -> None:
    await store.knowledge.put("acme", document(ident, **more), passages(ident, *texts))


async def texts(store: Store, draft: bool = False) -> list[str]:
    return [c.text for c in await store.knowledge.chunks("acme", draft)]


async def version(store: Store) -> int:
    return (await store.directory.tenant("acme")).knowledge


async def left(store: Store) -> tuple[int, int, int]:
    """Documents, passages and notes that the database holds."""
    db = store._db
    return tuple(
        [len(await db[name].find({}).to_list()) for name in ("documents", "chunks", "pending_chunks")]
    )  # type: ignore[return-value]


async def test_a_document_written_again_leaves_nothing_of_the_first(acme: Store) -> None:
    await put(acme, "a", "one", "two")
    await put(acme, "a", "three")
    assert await texts(acme) == ["three"]
    assert await left(acme) == (1, 1, 0)
    found = await acme.knowledge.get("acme", "a")
    assert found is not None
    assert [c.text for c in await acme.knowledge.passages("acme", "a")] == ["three"]
    assert await acme.knowledge.get("acme", "b") is None


async def test_several_raise_the_version_once(acme: Store) -> None:
    before = await version(acme)
    await acme.knowledge.put_all("acme", [(document(i), passages(i, i)) for i in ("a", "b", "c")])
    assert await version(acme) == before + 1
    assert await acme.knowledge.remove_all("acme", ["a", "b", "none"]) == 2
    assert await version(acme) == before + 2
    assert await texts(acme) == ["c"]


async def test_removal_is_complete_with_the_draft_beside(acme: Store) -> None:
    await put(acme, "a", "live", "more")
    await put(acme, "a", "draft", draft=True)
    assert await acme.knowledge.remove("acme", "a")
    assert await left(acme) == (0, 0, 0)
    assert not await acme.knowledge.remove("acme", "a")


async def test_drafts_are_seen_only_by_who_asks_for_them(acme: Store) -> None:
    await put(acme, "a", "old")
    await put(acme, "b", "stays")
    await put(acme, "c", "goes")
    before = await version(acme)
    await put(acme, "a", "new", draft=True)
    await put(acme, "d", "fresh", draft=True)
    assert await acme.knowledge.remove("acme", "c", draft=True)
    assert not await acme.knowledge.remove("acme", "c", draft=True)
    assert await texts(acme) == ["old", "stays", "goes"]
    assert await texts(acme, draft=True) == ["new", "stays", "fresh"]
    assert await version(acme) == before
    assert [(d.id, d.gone) for d in await acme.knowledge.drafts("acme")] == [
        ("a", False),
        ("c", True),
        ("d", False),
    ]
    assert await acme.knowledge.get("acme", "c", draft=True) is None


async def test_publishing_makes_all_live_with_one_raise_and_leaves_nothing(acme: Store) -> None:
    await put(acme, "a", "old", "older")
    await put(acme, "c", "goes")
    await put(acme, "a", "new", draft=True)
    await put(acme, "d", "fresh", draft=True)
    await acme.knowledge.remove("acme", "c", draft=True)
    before = await version(acme)
    assert await acme.knowledge.publish("acme") == 3
    assert await version(acme) == before + 1
    assert await texts(acme) == ["new", "fresh"] == await texts(acme, draft=True)
    assert [d.draft for d in await acme.knowledge.documents("acme")] == [False, False]
    assert await left(acme) == (2, 2, 0)
    assert await acme.knowledge.publish("acme") == 0
    assert await version(acme) == before + 1


async def test_discarding_leaves_the_live_ones(acme: Store) -> None:
    await put(acme, "a", "old")
    await put(acme, "a", "new", draft=True)
    await put(acme, "b", "fresh", draft=True)
    await acme.knowledge.remove("acme", "a", draft=True)
    assert await acme.knowledge.discard("acme") == 2
    assert await texts(acme, draft=True) == ["old"]
    assert await left(acme) == (1, 1, 0)


@pytest.mark.parametrize("step", range(12))
async def test_a_publishing_that_breaks_off_loses_nothing_and_can_be_finished(
    acme: Store, clock: MovableClock, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    await put(acme, "a", "old")
    await put(acme, "c", "goes")
    await put(acme, "a", "new", draft=True)
    await put(acme, "d", "fresh", draft=True)
    await acme.knowledge.remove("acme", "c", draft=True)
    calls = 0
    with monkeypatch.context() as patched:
        for collection in (acme.knowledge._documents, acme.knowledge._chunks, acme.knowledge._pending):
            for name in ("replace_one", "delete_one", "delete_many", "insert_one", "update_one"):
                real = getattr(collection, name)

                async def counted(*args: Any, real: Any = real, **more: Any) -> Any:
                    nonlocal calls
                    calls += 1
                    if calls > step:
                        raise KeyboardInterrupt  # as if killed: nothing of ours catches it
                    return await real(*args, **more)

                patched.setattr(collection, name, counted, raising=False)
        try:
            await acme.knowledge.publish("acme")
        except KeyboardInterrupt:
            pass
    assert await texts(acme, draft=True) == ["new", "fresh"]
    await acme.knowledge.publish("acme")
    assert await texts(acme) == ["new", "fresh"]
    clock.move(hours=2)
    await acme.knowledge.sweep()
    assert await left(acme) == (2, 2, 0)


async def test_what_a_killed_writing_left_is_swept_when_it_is_old(acme: Store, clock: MovableClock) -> None:
    await put(acme, "a", "live")
    db = acme._db
    chunk = (await db["chunks"].find({}).to_list())[0]
    await db["chunks"].insert_one({**chunk, "_id": "a.dead.0", "generation": "a.dead"})
    note = {"_id": "n", "tenant": "acme", "generations": ["a.dead", chunk["generation"]], "at": clock()}
    await db["pending_chunks"].insert_one(note)
    assert await acme.knowledge.sweep() == 0
    assert await left(acme) == (1, 2, 1)
    clock.move(hours=2)
    assert await acme.knowledge.sweep() == 1
    assert await left(acme) == (1, 1, 0)
    assert await texts(acme) == ["live"]


async def test_collections(acme: Store) -> None:
    await make_site(acme)
    knowledge = acme.knowledge
    assert await knowledge.collections("acme") == [Collection("acme", MAIN)]
    shop = Collection("acme", "shop", ("ch_web",))
    before = await version(acme)
    await knowledge.set_collection(shop, new=True)
    assert await version(acme) == before + 1
    with pytest.raises(Conflict):
        await knowledge.set_collection(shop, new=True)
    with pytest.raises(NotFound):
        await knowledge.set_collection(Collection("acme", "none"), new=False)
    await knowledge.set_collection(replace(shop, channels=()), new=False)
    assert await knowledge.collections("acme") == [Collection("acme", MAIN), Collection("acme", "shop")]
    await knowledge.check_collection("acme", "shop")
    with pytest.raises(Invalid, match="main, shop"):
        await knowledge.check_collection("acme", "other")


@pytest.mark.parametrize("name", ["", " a", "a ", "a\nb", "x" * 61, "a\u202eb"])
async def test_a_collections_name_is_a_line(acme: Store, name: str) -> None:
    with pytest.raises(Invalid) as wrong:
        await acme.knowledge.set_collection(Collection("acme", name))
    assert wrong.value.field == "name"


async def test_a_collection_is_for_the_tenants_own_channels(acme: Store) -> None:
    await make_tenant(acme, "bolt")
    await make_site(acme, "bolt", "ch_bolt")
    with pytest.raises(Invalid) as wrong:
        await acme.knowledge.set_collection(Collection("acme", "a", ("ch_bolt",)))
    assert wrong.value.field == "channels"


async def test_a_collection_with_documents_is_not_removed(acme: Store) -> None:
    await acme.knowledge.set_collection(Collection("acme", "shop"))
    await put(acme, "a", "x", collection="shop", draft=True)
    with pytest.raises(Conflict, match="holds 1 documents: remove them"):
        await acme.knowledge.remove_collection("acme", "shop")
    await acme.knowledge.discard("acme")
    await acme.knowledge.remove_collection("acme", "shop")
    with pytest.raises(NotFound):
        await acme.knowledge.remove_collection("acme", "shop")
    with pytest.raises(Conflict):
        await acme.knowledge.remove_collection("acme", MAIN)


async def test_vectors_are_replaced_unless_the_document_changed(acme: Store) -> None:
    await put(acme, "a", "one", "two", local="old/8")
    [found] = await acme.knowledge.unlike("acme", "new/8", "")
    before = await version(acme)

    async def make(d: Document, chunks: Any) -> tuple[Document, list[Chunk]]:
        return replace(d, local="new/8"), [replace(c, vector=b"\1\1") for c in chunks]

    async def slow(d: Document, chunks: Any) -> tuple[Document, list[Chunk]]:
        await put(acme, "a", "other", local="new/8")
        return await make(d, chunks)

    assert await acme.knowledge.revectored("acme", found, make)
    assert [(c.text, c.vector) for c in await acme.knowledge.chunks("acme")] == [
        ("one", b"\1\1"),
        ("two", b"\1\1"),
    ]
    assert await acme.knowledge.unlike("acme", "new/8", "") == []
    assert await version(acme) == before + 1
    assert not await acme.knowledge.revectored("acme", found, slow)
    assert await texts(acme) == ["other"]
    assert await left(acme) == (1, 1, 0)


async def test_another_tenants_documents_are_not_there(acme: Store) -> None:
    await make_tenant(acme, "bolt")
    await put(acme, "a", "secret")
    assert await acme.knowledge.get("bolt", "a") is None
    assert await acme.knowledge.passages("bolt", "a") == []
    assert not await acme.knowledge.remove("bolt", "a")
    with pytest.raises((ValueError, StoreError)):
        await acme.knowledge.put("bolt", document("a"), [])
    assert await texts(acme) == ["secret"]
