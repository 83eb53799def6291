"""What each payload in `tests/payloads/whatsapp` leads to: one row a file, "nothing" written out.

A message is written as in `tests.whatsapp.written`: `kind text` (`?kind` for an unsupported one), before it `~` when it is
silent, `<` when a person of the business said it, `^` when it is past; a receipt as its status, `:code` if it failed and
`=id` if our own id came back; an event as its name and sentence, `!` before it for a warning and `x` for the end.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    messages: tuple[str, ...] = ()
    receipts: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


OUR_ID = "m_abcdefghijklmnopqrstuvwx"
NOTHING = Case()


def says(*messages: str) -> Case:
    return Case(messages=messages)


def receipts(*found: str) -> Case:
    return Case(receipts=found)


def happened(*found: str) -> Case:
    return Case(events=found)


def ignored(*names: str) -> Case:
    return Case(ignored=names)


CASES: Mapping[str, Case] = {
    "odd_brazilian_id_differs_from_number": says("text oi"),
    "odd_bsuid_and_phone": says("text both"),
    "odd_bsuid_from_null_no_contacts": says("text hi"),
    "odd_bsuid_only": says("text Does it come in another color?"),
    "odd_call_of_nobody": ignored("call without a customer", "call without a customer"),
    "odd_change_without_metadata": ignored("messages"),
    "odd_contacts_empty_cards": says("contacts 7"),
    "odd_document_could_not_be_fetched": says("?document"),
    "odd_edit_into_an_order": says("~?edit"),
    "odd_edit_of_nothing": says("~?edit"),
    "odd_empty_entry_list": NOTHING,
    "odd_event_with_odd_values": happened(
        "template_status Template without a name is now in an unknown state, because of 7."
    ),
    "odd_event_without_a_value": ignored("account_update", "security", "account_alerts"),
    "odd_flow_reply_not_json": says("?nfm_reply"),
    "odd_group_image": Case(messages=("~?group image",), ignored=("group message",)),
    "odd_group_message": Case(messages=("~?group text",), ignored=("group message",)),
    "odd_history_of_nobody": ignored("message without a sender"),
    "odd_huge_ids": says("text long ids"),
    "odd_interactive_without_id": says("?button_reply"),
    "odd_location_in_words": says("location 40.78 -73.95"),
    "odd_location_off_earth": says("?location"),
    "odd_media_size_and_name_absurd": says(
        "document 1003383421387256 application/x-msdownload ../../etc/\u202egpj.exeaaaaaaaaaaaaaaaaaaaa"
    ),
    "odd_message_beside_account_event": Case(
        messages=("text beside",),
        events=("template_status Template order_confirmation (en-US) is now approved.",),
    ),
    "odd_message_is_not_in_a_list": says("text alone"),
    "odd_messages_and_statuses_in_one_value": Case(
        messages=("text and a receipt",), receipts=("read",), ignored=("error 131000",)
    ),
    "odd_mexican_number": says("text hola"),
    "odd_name_emoji_rtl": says("text مرحبا"),
    "odd_no_contacts": says("text no contacts at all"),
    "odd_no_message_id": says("text no id"),
    "odd_no_profile_name": says("text hello"),
    "odd_nul_and_surrogates": says("text abc 😀"),
    "odd_order_of_nothing": says("?order"),
    "odd_other_number_beside_ours": says("text ours"),
    "odd_reaction_to_nothing": says("~?reaction"),
    "odd_referral_with_odd_keys": says("text hi"),
    "odd_revoke_of_nothing": says("~?revoke"),
    "odd_system_moved_nowhere": says("~?system"),
    "odd_system_unheard_of": says("~?system"),
    "odd_system_user_id_changed_without_sender": says("system moved"),
    "odd_text_body_is_a_list": says("?text"),
    "odd_text_without_body": says("?text"),
    "odd_timestamp_absurd": says("text t", "text u", "text v", "text w"),
    "odd_timestamp_milliseconds": says("text t"),
    "odd_timestamp_number": says("text t"),
    "odd_two_entries_three_changes_many_messages": Case(
        messages=("text one", "text two", "text three", "text cuatro"), receipts=("delivered", "read")
    ),
    "odd_type_ephemeral": says("?ephemeral"),
    "odd_type_missing": says("?unknown"),
    "odd_type_unheard_of": says("?hologram"),
    "odd_user_preference_unheard_of": ignored("user preference"),
    "odd_value_errors": ignored("error 130429"),
    "odd_wrong_shapes_beside_a_good_message": Case(
        messages=("text good",),
        ignored=(
            "unknown",
            "message without a sender",
            "message without a sender",
            "message without a sender",
            "status",
            "status sent",
        ),
    ),
    "address_reply": says(
        'form saved_address_id=address1, values={"in_pin_code": "400063", "city": "Mumbai"}'
    ),
    "audio_plain": says("audio 1908647269898588 audio/mpeg"),
    "audio_voice": says("voice 1908647269898587 audio/ogg; codecs=opus"),
    "button_reply": says("reply lead:yes Yes, please"),
    "call_permission_refused": says("~system call_permission The customer refuses calls."),
    "call_permission_reply": says("~system call_permission The customer allows calls."),
    "contact_request_answered": says("contacts Sheena Nelson +16505551234 own"),
    "contact_request_without_number": says("contacts Sheena Nelson +1 650-555-1234 own"),
    "contact_shared_by_hand": says("contacts A Friend +34600111222 friend@example.com Friends Ltd"),
    "contacts": says("contacts Barbara J. Johnson +1 650-555-9999 Social Tsunami"),
    "contacts_two": says(
        "contacts Barbara J. Johnson +1 (415) 555-0829 +1 (415) 555-0830 bjohnson@example.com Social Tsunami; Ana Souza"
    ),
    "document": says("document 2754859441498128 application/pdf order-receipt.pdf Receipt"),
    "edit": says("~edit wamid.FIRST text Does it come in blue?"),
    "edit_caption": says("~edit wamid.FIRST image 1003383421387256 image/jpeg The blue one"),
    "edit_caption_alone": says("~edit wamid.FIRST video Updated"),
    "flow_reply": says("form name=Ana"),
    "flow_reply_many_fields": says(
        'form name=Ana, age=41, agree=true, days=["mon", "tue"], note=, a_b=dotted'
    ),
    "image": says("image 1003383421387256 image/jpeg Taj Mahal"),
    "image_with_address": says("image 1003383421387256 image/jpeg Taj Mahal"),
    "list_reply": says("reply priority_express Priority Mail Express"),
    "location": says("location 37.44 -122.16 Philz Coffee"),
    "location_named": says("location 40.78 -73.96 Solomon R. Guggenheim Museum"),
    "media_placeholder": says("?media_placeholder"),
    "order": says("order 2 di9ozbzfi4 30 USD Love these!"),
    "order_of_many": says("order 2 di9ozbzfi4 30.5 USD, 1 nqryix03ez 25 USD"),
    "product": says("?product"),
    "reaction": says("~reaction 👍 wamid.OURS"),
    "reaction_by_bsuid": says("~reaction \U0001f469\u200d\U0001f469\u200d\U0001f467 wamid.OURS"),
    "reaction_removed": says("~reaction  wamid.OURS"),
    "request_welcome": says("system welcome The customer opened the chat for the first time."),
    "revoke": says("~deleted wamid.FIRST"),
    "sticker": says("sticker 1048578 image/webp"),
    "sticker_animated": says("sticker 798882015472548 image/webp"),
    "system_identity_changed": says("~system identity_changed Sheena Nelson's security code changed"),
    "system_marketing_stopped_old_form": says(
        "~system marketing_stopped User requested to stop marketing messages"
    ),
    "system_number_changed": says("system moved User Sheena Nelson changed from 16505551234 to 12195555358"),
    "system_number_changed_old_form": says("system moved Sheena changed their number"),
    "system_number_changed_with_user_ids": says(
        "system moved User Sheena Nelson changed from 16505551234 to 12195555358"
    ),
    "system_user_id_changed": says("system moved User Sheena Nelson changed user id"),
    "template_button": says("reply Unsubscribe Unsubscribe"),
    "text": says("text Does it come in another color?"),
    "text_about_product": says("text Is this still available?"),
    "text_forwarded": says("text look"),
    "text_forwarded_often": says("text look at this"),
    "text_from_ad": says("text Can I get more info about this?"),
    "text_from_video_ad": says("text Hola, quiero info"),
    "text_identity_changed": says("text new phone"),
    "text_quoting_ours": says("text this one"),
    "unsupported": says("?poll"),
    "unsupported_not_given_to_the_api": says("?unknown"),
    "video": says("video 3116461925189087 video/mp4"),
    "status_delivered_with_our_id": receipts(f"delivered={OUR_ID}"),
    "status_failed_file": receipts(f"failed:whatsapp:131053={OUR_ID}"),
    "status_failed_marketing_stopped": receipts("failed:whatsapp:131050"),
    "status_failed_unknown_code": receipts("failed:whatsapp:987654"),
    "status_failed_window": receipts("failed:whatsapp:131047"),
    "status_failed_without_errors": receipts("failed:whatsapp:unknown"),
    "status_in_group": receipts("delivered"),
    "status_played": receipts("read"),
    "status_read_of_somebody_elses_message": receipts("read"),
    "status_read_with_price_and_both_ids": receipts("read"),
    "status_reordered_and_doubled": receipts("read", "sent", "read", "delivered"),
    "status_sent_with_conversation": receipts("sent"),
    "status_to_bsuid": receipts("delivered"),
    "status_unheard_of": ignored("status teleported"),
    "status_without_ids_but_ours": receipts(f"sent={OUR_ID}"),
    "event_account_alert": happened("account_alert WhatsApp's alert: oba approved. Sample alert description"),
    "event_account_alert_critical": happened(
        "!account_alert WhatsApp's alert: increased capabilities eligibility failed. Your limit could not be raised."
    ),
    "event_account_app_removed": happened("xaccount The business removed this app from its account."),
    "event_account_banned": happened(
        "!account WhatsApp is disabling the business account: schedule for disable."
    ),
    "event_account_deleted": happened("xaccount The business account was deleted."),
    "event_account_disconnected": happened(
        "!account The number left the Cloud API after a change of the phone."
    ),
    "event_account_of_another_client_removed": NOTHING,
    "event_account_reinstated": happened("account WhatsApp reinstated the business account."),
    "event_account_restricted": happened(
        "!account WhatsApp restricted the business account: restricted biz initiated messaging."
    ),
    "event_account_review_rejected": happened(
        "!account_review WhatsApp's review of the business account: rejected."
    ),
    "event_account_update": happened("account The business account: verified account."),
    "event_account_violation": happened(
        "!account WhatsApp found that the business account broke a policy: adult."
    ),
    "event_call": says("~system call The customer calls."),
    "event_call_by_business": says("~system call The business calls the customer."),
    "event_call_ended": says("~system call A call ended after 33 s."),
    "event_call_not_taken": says("~system call A call was not taken or failed."),
    "event_call_status": ignored("call ringing"),
    "event_contact_sync": ignored("smb_app_state_sync"),
    "event_echo": says("<text Here's the info you requested!"),
    "event_echo_edit": says("~<edit wamid.E text Here is the right info"),
    "event_echo_image": says("<image 1003383421387999 image/jpeg Our shop"),
    "event_echo_revoke": says("~<deleted wamid.E"),
    "event_echo_to_bsuid": says("<text Hello by user name"),
    "event_echo_to_nobody": ignored("echo without a recipient"),
    "event_flow_throttled": happened("!flow A flow: Flow Sign up changed status from PUBLISHED to THROTTLED"),
    "event_group_participants": ignored("group_participants_update"),
    "event_history": says("~^text old"),
    "event_history_both_directions": says(
        "~^text Is it open?",
        "~<^text Yes",
        "~^?media_placeholder",
        "~<^text Hola Ana",
        "~^reaction \u2764\ufe0f wamid.H4",
    ),
    "event_history_declined": happened("!history_refused The business does not share its chat history."),
    "event_history_file": says(
        "~^edit wamid.H3 image 24230790383178626 image/jpeg my receipt",
        "~<^edit wamid.H9 document 24230790383178627 application/pdf offer.pdf",
    ),
    "event_limits": happened(
        "account_limits The account's limits changed: "
        "max daily conversations per business 2000, max phone numbers per business 20."
    ),
    "event_number_limit_raised": happened(
        "number_quality Number 15550783881: throughput upgrade; messaging limit tier unlimited."
    ),
    "event_number_name_rejected": happened(
        "!number_name Number 15550783881: the display name Lucky Shrub was rejected, because of name not consistent."
    ),
    "event_number_quality": happened(
        "!number_quality Number 15550783881: flagged; messaging limit tier 10k."
    ),
    "event_of_another_account": NOTHING,
    "event_payment": happened("payments Payment configuration main: needs testing."),
    "event_security": happened("!security Number 15550783881: security of the account: pin changed."),
    "event_standby": Case(messages=("~text Are you open?", "<text Yes, until six."), receipts=("delivered",)),
    "event_template_category": happened(
        "!template_category Template order_confirmation (en-US) was moved from utility to marketing."
    ),
    "event_template_category_to_come": happened(
        "!template_category Template order_confirmation (en-US) is utility and will be moved to category marketing."
    ),
    "event_template_components": happened(
        "template_text Template order_confirmation (en-US): its text was changed."
    ),
    "event_template_paused": happened(
        "!template_status Template order_confirmation (en-US) is now paused. Paused for 3 hours because of customers' reports."
    ),
    "event_template_quality": happened(
        "!template_quality Template order_confirmation (en-US): quality went from green to red."
    ),
    "event_template_rejected": happened(
        "!template_status Template order_confirmation (en-US) is now rejected, "
        "because of parameters are placed next to each other. Put words between them."
    ),
    "event_template_status": happened("template_status Template order_confirmation (en-US) is now approved."),
    "event_unheard_of": ignored("moon_phase_update"),
    "event_user_preferences": says("~system marketing_stopped User requested to stop marketing messages"),
    "event_user_preferences_resumed_by_bsuid": says(
        "~system marketing_resumed User requested to resume marketing messages"
    ),
}
