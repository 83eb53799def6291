"""What each payload in `tests/payloads/slack` leads to: one row a file, "nothing" written out.

A message is written as `kind text` (`?kind` for an unsupported one, `~` before it when it is silent, `=` before that when
it is ours only if its thread is a conversation already), a receipt as its
status and our own id, an event of the account by its name (`!` ends the channel, `?` is a warning). For an installation
of another workspace or of a whole organisation nothing is meant for our channel.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    messages: tuple[str, ...] = ()
    receipts: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    answer: str | None = None


NOTHING = Case()
ACK = '{"response_type": "ephemeral", "text": "💬 <@U0BOT00001>"}'
LOREM = "lorem ipsum dolor sit amet " * 1500

CASES: Mapping[str, Case] = {
    "odd_text_missing.json": Case(messages=("?empty message",)),
    "odd_text_is_a_list.json": Case(messages=("?empty message",)),
    "odd_text_null_blocks_only.json": Case(messages=("text only in the blocks",)),
    "odd_nul_and_surrogates.json": Case(messages=("text a‍b 😀",)),
    "odd_rtl_and_combining.json": Case(messages=("text \u200fمرحبا 👩\u200d👩\u200d👧 é̂",)),
    "odd_event_missing.json": Case(ignored=("event without a type",)),
    "odd_event_is_a_list.json": Case(ignored=("event without a type",)),
    "odd_event_type_unheard_of.json": Case(ignored=("hologram_projected",)),
    "odd_message_subtype_unheard_of.json": Case(messages=("?teleport",)),
    "odd_no_user.json": Case(ignored=("message without a sender",)),
    "odd_no_channel.json": Case(ignored=("message without a channel",)),
    "odd_no_ts.json": Case(messages=("text when",)),
    "odd_ts_is_a_number.json": Case(messages=("text number",)),
    "odd_ts_absurd.json": Case(messages=("text absurd",)),
    "odd_ids_endless.json": Case(messages=("text long",)),
    "odd_no_authorizations.json": Case(messages=("text plain old",)),
    "odd_authorizations_empty.json": Case(messages=("text empty list",)),
    "odd_no_event_id.json": Case(messages=("~reaction 🎉",)),
    "odd_other_workspace.json": NOTHING,
    "odd_huge_text.json": Case(messages=("text " + LOREM.strip(),)),
    "odd_deep_blocks.json": Case(messages=("?empty message",)),
    "odd_files_of_wrong_shapes.json": Case(messages=("text see\nno id.txt",)),
    "odd_actions_not_a_list.json": Case(messages=("reply v v",)),
    "odd_action_without_value.json": Case(messages=("?hologram",)),
    "odd_interaction_unheard_of.json": Case(ignored=("telepathy",)),
    "odd_user_is_text.json": Case(ignored=("action without a person",)),
    "odd_command_bytes_not_utf8_form.form": Case(messages=("text caf�?",), answer=ACK),
    "odd_challenge_in_events.json": NOTHING,
    "text.json": Case(messages=("text Do you have rooms in May?",)),
    "text_links_and_entities.json": Case(
        messages=(
            "text see our page (https://a.example/x?b=1&c=2) or https://b.example & hi@a.example 5 < 6, call (+34600)",
        )
    ),
    "text_mentions.json": Case(messages=("text @bob said #general and #C9, @here @sales yesterday @U0X",)),
    "text_emoji_kept.json": Case(messages=("text great :tada: :+1::skin-tone-2:",)),
    "text_in_dm_thread.json": Case(messages=("text in the thread",)),
    "text_broadcast_from_thread.json": Case(messages=("text for all",)),
    "me_message.json": Case(messages=("text waves",)),
    "file_comment_legacy.json": Case(messages=("text nice file",)),
    "rich_text_only.json": Case(
        messages=("text Hi @U0OTHER001, see this (https://a.example):wave:\n• one\n• two\n> said\ncode()",)
    ),
    "blocks_section_and_image.json": Case(
        messages=("text *Offer* & more\na\na house\nfoot (https://a.example)",)
    ),
    "shared_message.json": Case(messages=("text look at this\nBob: the original & more",)),
    "link_preview_in_message.json": Case(messages=("text see https://a.example",)),
    "external_person_in_shared_channel.json": Case(messages=("text can you help?",)),
    "org_installation.json": NOTHING,
    "mention.json": Case(messages=("text what are your hours?",)),
    "mention_as_channel_message.json": Case(messages=("text what are your hours?",)),
    "mention_in_thread.json": Case(messages=("text and on Sunday?",)),
    "mention_in_the_middle.json": Case(messages=("text hey, and on Sunday?",)),
    "mention_alone.json": Case(messages=("text 👋",)),
    "mention_in_private_channel.json": Case(messages=("text hi",)),
    "mention_in_group_dm.json": Case(messages=("text hi all",)),
    "mention_with_file.json": Case(messages=("document plan.pdf read this",)),
    "thread_reply_to_us.json": Case(messages=("text thanks!",)),
    "channel_message_not_for_us.json": Case(ignored=("message that is not for us",)),
    "thread_message_not_to_us.json": Case(messages=("=text ok",)),
    "thread_broadcast_in_channel.json": Case(messages=("=text for the whole channel",)),
    "thread_edit_in_channel.json": Case(messages=("=~edit C0ROOM0001:1749416383.000043 fine",)),
    "thread_edit_takes_mention_out.json": Case(messages=("~edit C0ROOM0001:1749416383.000043 fine",)),
    "thread_delete_in_channel.json": Case(messages=("=~deleted C0ROOM0001:1749416383.000043",)),
    "file_image.json": Case(messages=("image roof.png the roof",)),
    "file_video.json": Case(messages=("video tour.mp4",)),
    "file_audio.json": Case(messages=("audio song.mp3",)),
    "file_voice_clip.json": Case(messages=("voice audio_message.m4a",)),
    "file_document.json": Case(messages=("document contract.pdf contract",)),
    "file_snippet.json": Case(messages=("document log.txt",)),
    "files_as_album.json": Case(messages=("album image a.png three | image b.png | document c.pdf",)),
    "file_external.json": Case(messages=("text our plan\nPlan (https://docs.google.com/document/d/1)",)),
    "file_deleted_already.json": Case(messages=("?file",)),
    "file_hidden_by_plan.json": Case(messages=("text old",)),
    "file_of_external_person.json": Case(messages=("document - here",)),
    "edit.json": Case(messages=("~edit D0CUST0001:1749416383.000001 rooms in June?",)),
    "edit_adds_mention_in_channel.json": Case(messages=("~edit C0ROOM0001:1749416383.000001 rooms?",)),
    "edit_not_for_us.json": Case(ignored=("change of what is not for us",)),
    "edit_of_caption.json": Case(messages=("~edit D0CUST0001:1749416383.000001 image a.png new caption",)),
    "link_preview_added.json": Case(ignored=("change without new words",)),
    "edit_of_our_own.json": Case(receipts=("sent=m_abcdefghijklmnopqrstuvwx",), ignored=("our own message",)),
    "assistant_thread_titled.json": Case(ignored=("change of what nobody said",)),
    "delete.json": Case(messages=("~deleted D0CUST0001:1749416383.000001",)),
    "delete_of_thread_root.json": Case(messages=("~deleted D0CUST0001:1749416383.000001",)),
    "delete_of_our_own_root.json": Case(ignored=("deletion of an app's message",)),
    "delete_in_channel_not_for_us.json": Case(ignored=("deletion of what is not for us",)),
    "delete_of_our_own.json": Case(ignored=("deletion of an app's message",)),
    "reaction.json": Case(messages=("~reaction 👍🏼",)),
    "reaction_custom.json": Case(messages=("~reaction :party-parrot:",)),
    "reaction_removed.json": Case(messages=("~reaction ",)),
    "reaction_in_channel.json": Case(ignored=("reaction outside of a direct message",)),
    "reaction_to_file.json": Case(ignored=("reaction to what is no message",)),
    "our_own_message.json": Case(receipts=("sent=m_abcdefghijklmnopqrstuvwx",), ignored=("our own message",)),
    "our_message_of_another_kind.json": Case(ignored=("our own message",)),
    "other_app_message.json": Case(ignored=("message of another app",)),
    "slackbot_message.json": Case(ignored=("message of another app",)),
    "other_app_mentions_us.json": Case(ignored=("message of another app",)),
    "message_metadata_posted.json": Case(
        receipts=("sent=m_abcdefghijklmnopqrstuvwx",), ignored=("message_metadata_posted",)
    ),
    "metadata_of_another_app.json": Case(ignored=("message_metadata_posted",)),
    "assistant_thread_started.json": Case(messages=("system welcome",)),
    "assistant_context_changed.json": Case(ignored=("assistant_thread_context_changed",)),
    "app_home_messages_opened.json": Case(messages=("system welcome",)),
    "app_home_home_opened.json": Case(ignored=("app_home_opened",)),
    "app_context_changed.json": Case(ignored=("app_context_changed",)),
    "app_uninstalled.json": Case(events=("app_uninstalled!",)),
    "tokens_revoked_bot.json": Case(events=("tokens_revoked!",)),
    "tokens_revoked_people.json": Case(ignored=("tokens_revoked of people",)),
    "app_rate_limited.json": Case(events=("rate_limited?",)),
    "grid_migration_started.json": Case(ignored=("grid_migration_started",)),
    "app_added_to_channel.json": Case(events=("member_joined_channel",)),
    "member_joined.json": Case(ignored=("member_joined_channel",)),
    "channel_join_message.json": Case(ignored=("message channel_join",)),
    "channel_topic_message.json": Case(ignored=("message channel_topic",)),
    "message_replied.json": Case(ignored=("message message_replied",)),
    "link_shared.json": Case(ignored=("link_shared",)),
    "team_join.json": Case(ignored=("team_join",)),
    "channel_archive.json": Case(ignored=("channel_archive",)),
    "user_change.json": Case(ignored=("user_change",)),
    "button.json": Case(messages=("reply lead:yes Yes, please",)),
    "button_form.form": Case(messages=("reply lead:yes Yes, please",)),
    "button_in_channel_thread.json": Case(messages=("reply lead:yes Yes, please",)),
    "button_link.json": Case(ignored=("link button",)),
    "menu.json": Case(messages=("reply row1 Row 1",)),
    "menu_several.json": Case(messages=("reply a, b A, B",)),
    "menu_overflow.json": Case(messages=("reply o Other",)),
    "radio_buttons.json": Case(messages=("reply r Red",)),
    "checkboxes_cleared.json": Case(messages=("reply parley:0 parley:0",)),
    "date_picked.json": Case(messages=("reply 2026-12-01 2026-12-01",)),
    "person_picked.json": Case(messages=("reply U0OTHER001 U0OTHER001",)),
    "two_actions_at_once.json": Case(messages=("reply lead:yes Yes, please", "reply lead:no No")),
    "button_in_a_window.json": Case(messages=("reply lead:yes Yes, please",)),
    "legacy_attachment_button.json": Case(ignored=("interactive_message",)),
    "form_sent.json": Case(
        messages=("form b4.name=a@b.example name=Ana & Co nothing= phone=+34600111222 size=l",)
    ),
    "form_closed.json": Case(messages=("form cancelled",)),
    "shortcut_human.json": Case(messages=("command human",)),
    "shortcut_other.json": Case(messages=("~system shortcut",)),
    "message_action.json": Case(messages=("text what does <this> mean?",)),
    "options_wanted.json": Case(ignored=("block_suggestion",), answer='{"options":[]}'),
    "command_question_form.form": Case(messages=("text what are your hours & prices?",), answer=ACK),
    "command_human_form.form": Case(messages=("command human please",), answer=ACK),
    "command_empty_form.form": Case(messages=("command help",), answer=ACK),
    "command_of_another_name_form.form": Case(messages=("command order 123",), answer=ACK),
    "command_over_socket.json": Case(messages=("command stop",), answer=ACK),
    "command_from_org_form.form": NOTHING,
    "certificate_check_form.form": NOTHING,
}
