"""What each payload in `tests/payloads/whatsapp` leads to: one row a file, "nothing" written out.

A message is written as `kind text` (`?kind` for an unsupported one, `~` before it when it is silent); a
receipt as its status, `:code` if it failed and `=id` if our own id came back.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    messages: tuple[str, ...] = ()
    receipts: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


OUR_ID = "m_abcdefghijklmnopqrstuvwx"
NOTHING = Case()


def says(*messages: str) -> Case:
    return Case(messages=messages)


def receipts(*found: str) -> Case:
    return Case(receipts=found)


def ignored(*names: str) -> Case:
    return Case(ignored=names)


CASES: Mapping[str, Case] = {
    "odd_two_entries_three_changes_many_messages": Case(
        ("text one", "text two", "text three", "text cuatro"), ("delivered", "read")
    ),
    "odd_other_number_beside_ours": says("text ours"),
    "odd_no_contacts": says("text no contacts at all"),
    "odd_no_profile_name": says("text hello"),
    "odd_bsuid_only": says("text Does it come in another color?"),
    "odd_bsuid_from_null_no_contacts": says("text hi"),
    "odd_bsuid_and_phone": says("text both"),
    "odd_brazilian_id_differs_from_number": says("text oi"),
    "odd_mexican_number": says("text hola"),
    "odd_timestamp_number": says("text t"),
    "odd_timestamp_milliseconds": says("text t"),
    "odd_timestamp_absurd": says("text t", "text u", "text v", "text w"),
    "odd_no_message_id": says("text no id"),
    "odd_nul_and_surrogates": says("text abc 😀"),
    "odd_name_emoji_rtl": says("text مرحبا"),
    "odd_text_without_body": says("?text"),
    "odd_text_body_is_a_list": says("?text"),
    "odd_wrong_shapes_beside_a_good_message": Case(
        messages=("text good",),
        ignored=("unknown", *["message without a sender"] * 3, "status", "status sent"),
    ),
    "odd_message_is_not_in_a_list": says("text alone"),
    "odd_type_missing": says("?unknown"),
    "odd_type_unheard_of": says("?hologram"),
    "odd_interactive_without_id": says("?button_reply"),
    "odd_group_message": says("~?group text"),
    "odd_empty_entry_list": NOTHING,
    "odd_change_without_metadata": ignored("messages"),
    "odd_value_errors": ignored("error 130429"),
    "text": says("text Does it come in another color?"),
    "text_quoting_ours": says("text this one"),
    "text_forwarded": says("text look"),
    "text_from_ad": says("text Can I get more info about this?"),
    "text_about_product": says("text Is this still available?"),
    "text_identity_changed": says("text new phone"),
    "button_reply": says("reply lead:yes Yes, please"),
    "list_reply": says("reply priority_express Priority Mail Express"),
    "template_button": says("reply Unsubscribe Unsubscribe"),
    "flow_reply": says("?nfm_reply"),
    "call_permission_reply": says("?call_permission_reply"),
    "image": says("?image"),
    "audio_voice": says("?audio"),
    "video": says("?video"),
    "document": says("?document"),
    "sticker": says("?sticker"),
    "location": says("?location"),
    "contacts": says("?contacts"),
    "contact_request_without_number": says("?contacts"),
    "reaction": says("~?reaction"),
    "reaction_removed": says("~?reaction"),
    "order": says("?order"),
    "system_number_changed": says("~?system"),
    "system_user_id_changed": says("~?system"),
    "edit": says("?edit"),
    "revoke": says("~?revoke"),
    "unsupported": says("?unsupported"),
    "request_welcome": says("~?request_welcome"),
    "media_placeholder": says("?media_placeholder"),
    "status_sent_with_conversation": receipts("sent"),
    "status_delivered_with_our_id": receipts(f"delivered={OUR_ID}"),
    "status_read_of_somebody_elses_message": receipts("read"),
    "status_played": receipts("read"),
    "status_failed_window": receipts("failed:whatsapp:131047"),
    "status_failed_unknown_code": receipts("failed:whatsapp:987654"),
    "status_failed_without_errors": receipts("failed:whatsapp:unknown"),
    "status_reordered_and_doubled": receipts("read", "sent", "read", "delivered"),
    "status_to_bsuid": receipts("delivered"),
    "status_unheard_of": ignored("status teleported"),
    "status_without_ids_but_ours": receipts(f"sent={OUR_ID}"),
    "event_echo": ignored("smb_message_echoes"),
    "event_history": ignored("history"),
    "event_contact_sync": ignored("smb_app_state_sync"),
    "event_call": ignored("calls"),
    "event_user_preferences": ignored("user_preferences"),
    "event_template_status": ignored("message_template_status_update"),
    "event_account_update": ignored("account_update"),
    "event_account_alert": ignored("account_alerts"),
    "event_number_quality": ignored("phone_number_quality_update"),
}
