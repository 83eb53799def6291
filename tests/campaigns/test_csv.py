"""Lists as people have them: every line becomes a recipient or an error, whatever a spreadsheet made of it."""

from collections.abc import AsyncIterator

import pytest

from gateway.campaigns_csv import Row, rows
from gateway.model.campaign import Wrong
from gateway.model.errors import Invalid
from tests.campaigns.rig import Rig, phone


async def parts(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def read(data: bytes | str, size: int = 7) -> list[Row | Wrong]:
    given = data.encode() if isinstance(data, str) else data
    found = [one async for one in rows(parts(given, size))]
    assert found == [one async for one in rows(parts(given, 10**6))], "it depends on how the bytes come"
    return found


def lines(found: list[Row | Wrong]) -> list[tuple[int, object]]:
    return [(one.line, one.values if isinstance(one, Row) else one.text) for one in found]


PLAIN = [(2, {"phone": "+34600", "name": "Ana"}), (3, {"phone": "+34601", "name": "Bob"})]


@pytest.mark.parametrize(
    "data",
    [
        "phone,name\n+34600,Ana\n+34601,Bob\n",
        "phone,name\n+34600,Ana\n+34601,Bob",
        "phone,name\r\n+34600,Ana\r\n+34601,Bob\r\n",
        "phone,name\r+34600,Ana\r+34601,Bob\r",
        "phone;name\n+34600;Ana\n+34601;Bob\n",
        "Phone\tNAME \n +34600\tAna\n+34601\t Bob\n",
        '"phone","name"\n"+34600","Ana"\n+34601,Bob\n',
        "phone,name,,\n+34600,Ana,,\n+34601,Bob,,\n",
        b"\xef\xbb\xbfphone,name\n+34600,Ana\n+34601,Bob\n",
        "\ufeffphone,name\n+34600,Ana\n+34601,Bob\n".encode("utf-16-le"),
        "\ufeffphone,name\n+34600,Ana\n+34601,Bob\n".encode("utf-16-be"),
    ],
)
async def test_the_same_list_however_it_was_saved(data: bytes | str) -> None:
    assert lines(await read(data)) == PLAIN


async def test_quotes_hold_delimiters_quotes_and_lines() -> None:
    found = await read('phone,name\n1,"Lee, Ann"\n2,"the ""boss"""\n3,"two\nlines"\n4,x\n')
    assert lines(found) == [
        (2, {"phone": "1", "name": "Lee, Ann"}),
        (3, {"phone": "2", "name": 'the "boss"'}),
        (4, {"phone": "3", "name": "two\nlines"}),
        (6, {"phone": "4", "name": "x"}),
    ]


async def test_a_quote_that_does_not_end_loses_its_own_line_only() -> None:
    found = await read('phone,name\n1,"Ana\n2,Bob\n3,Cid\n')
    assert lines(found) == [
        (2, 'A quote (") that does not end.'),
        (3, {"phone": "2", "name": "Bob"}),
        (4, {"phone": "3", "name": "Cid"}),
    ]


async def test_a_quote_that_does_not_end_in_a_long_file_swallows_nothing() -> None:
    rest = "".join(f"{n},name {n}\n" for n in range(1000))
    found = await read(f'phone,name\n0,"broken\n{rest}', 5000)
    assert [one for one in found if isinstance(one, Wrong)] == [Wrong(2, 'A quote (") that does not end.')]
    assert len(found) == 1001
    assert found[-1] == Row(1002, {"phone": "999", "name": "name 999"})


async def test_wrong_lines_are_named_and_the_others_read() -> None:
    found = await read(b"phone,name\n1,Ana,extra\n\n , \n2\n3,\x00\n,\n" + "4,Añil\n".encode("latin-1"))
    assert [(line, str(what)[:12]) for line, what in lines(found)] == [
        (2, "3 values for"),
        (5, "{'phone': '2"),
        (6, "A NUL charac"),
        (8, "Letters that"),
    ]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "this one is empty"),
        (b"\n\n", "this one is empty"),
        (b"name,email\nAna,a@b.c\n", "it has: name, email"),
        (b"phone,phone\n1,2\n", "each once: phone"),
        (b"phone,,name\n1,2,3\n", "one is empty"),
        ("phone,año\n1,2\n".encode("latin-1"), "UTF-8"),
        (b"PK\x03\x04\x14\x00\x06\x00\x08\x00", "it has"),
    ],
)
async def test_a_file_without_a_usable_first_line_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        await read(data)


async def test_every_line_of_a_list_is_accounted_for(rig: Rig) -> None:
    await rig.consent(range(3))
    given = [
        "phone,name,timezone",
        f"+{phone(0)},Ana,",
        f"{phone(0)},Ana again,",  # as WhatsApp writes it
        "600 000 001,Bob,",  # of the tenant's own country
        "not a phone,X,",
        ",Nobody,",
        "+34 12,Short,",
        f"+{phone(2)},Zed,Mars/Base",
        f"+{phone(2)},Zed,America/New_York",
    ]
    campaign = await rig.made({"csv": await rig.upload("\n".join(given))})
    estimate = (await rig.show(campaign))["estimate"]
    counted = {k: estimate[k] for k in ("read", "recipients", "wrong", "doubled", "allowed")}
    assert counted == {"read": 8, "recipients": 3, "wrong": 4, "doubled": 1, "allowed": 3}
    errors = (await rig.call("GET", f"/campaigns/{campaign}/errors"))["items"]
    assert [e["line"] for e in errors] == [3, 5, 6, 7, 8]
    assert "named more than once" in errors[0]["text"]
    await rig.do(campaign, "start")
    await rig.go()
    assert sorted(rig.reached()) == [phone(n) for n in range(3)]
    zones = {c.address: c.timezone for c in await rig.running.conversations()}
    assert zones[phone(2)] == "America/New_York"


async def test_a_list_that_can_not_be_read_fails_with_the_reason(rig: Rig) -> None:
    campaign = await rig.made({"csv": await rig.upload("name\nAna\n")})
    shown = await rig.show(campaign)
    assert (shown["state"], "`phone` or `contact`" in shown["reason"]) == ("failed", True)
    await rig.do(campaign, "start", status=409)


async def test_prepared_anew_it_is_counted_anew(rig: Rig) -> None:
    await rig.consent(range(2))
    campaign = await rig.csv(range(3))
    first = (await rig.show(campaign))["estimate"]
    await rig.consent([2])
    second = (await rig.prepared(campaign))["estimate"]
    assert (first["allowed"], second["allowed"]) == (2, 3)
    assert (second["recipients"], second["doubled"]) == (3, 0)
    assert len(await rig.recipients(campaign)) == 3
