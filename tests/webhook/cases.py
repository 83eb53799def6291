"""What each body in `tests/payloads/webhook` leads to: `kind text`, `?kind` unsupported, `~` before a silent one."""

from collections.abc import Mapping

Case = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
"""Messages, receipts, what is ignored."""

CASES: Mapping[str, Case] = {
    "odd_several_events": (("text one", "text two"), ("delivered",), ("event dance",)),
    "odd_no_type": ((), (), ("event",)),
    "odd_nobody": ((), (), ("event message",)),
    "odd_no_id": (("text no id",), (), ()),
    "odd_nul_and_surrogates": (("text ab",), (), ()),
    "odd_blank_text": (("?text",), (), ()),
    "odd_unknown_kind": (("?hologram",), (), ()),
    "odd_business_kind": (("?buttons",), (), ()),
    "odd_deep": (("?text",), (), ()),
    "odd_content_is_a_list": (("?unknown",), (), ()),
    "odd_strange_receipt": ((), (), ("event receipt",)),
    "odd_huge_id": (("text huge",), (), ()),
    "text": (("text Do you deliver?",), (), ()),
    "text_in_a_thread": (("text in a thread",), (), ()),
    "image": (("media image",), (), ()),
    "album": (("album 2",), (), ()),
    "location": (("location",), (), ()),
    "contacts": (("contacts",), (), ()),
    "reply": (("reply yes",), (), ()),
    "reaction": (("~reaction",), (), ()),
    "order": (("order",), (), ()),
    "form_reply": (("form_reply",), (), ()),
    "command": (("command human",), (), ()),
    "edit": (("~edit",), (), ()),
    "deleted": (("~deleted",), (), ()),
    "receipt_failed": ((), ("failed",), ()),
    "nothing_ping": ((), (), ("event ping",)),
}
