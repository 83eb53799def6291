"""Every error Slack documents for what we call leads to one decision, and the README lists it."""

from pathlib import Path

import pytest

import channels.slack
from channels.http import Reply
from channels.slack.errors import DECISIONS, UNMAPPED, Decision, decision, send_error

README = (Path(channels.slack.__file__).parent / "README.md").read_text()

DOCUMENTED = {
    "every method": """access_denied accesslimited account_inactive deprecated_endpoint ekm_access_denied
        enterprise_is_restricted fatal_error internal_error invalid_arg_name invalid_arguments invalid_array_arg
        invalid_auth invalid_charset invalid_form_data invalid_post_type method_deprecated missing_post_type
        missing_scope no_permission not_allowed_token_type not_authed org_login_required ratelimited
        request_timeout service_unavailable team_access_not_granted team_added_to_org token_expired token_revoked
        two_factor_setup_required""",
    "chat.postMessage": """attachment_payload_limit_exceeded cannot_reply_to_message channel_not_found
        duplicate_message_not_found invalid_blocks invalid_blocks_format invalid_metadata_format
        invalid_metadata_schema is_archived message_limit_exceeded messages_tab_disabled
        metadata_must_be_sent_from_app metadata_too_large missing_file_data msg_blocks_too_long msg_too_long no_text
        not_in_channel rate_limited restricted_action restricted_action_non_threadable_channel
        restricted_action_read_only_channel restricted_action_thread_locked restricted_action_thread_only_channel
        slack_connect_canvas_sharing_blocked slack_connect_file_link_sharing_blocked team_not_found
        too_many_attachments too_many_contact_cards""",
    "chat.update": """block_mismatch blocked_file_type cant_broadcast_message cant_update_message edit_window_closed
        external_channel_migrating file_is_deleted file_share_limit_reached invalid_attachments is_inactive
        max_file_sharing_exceeded message_not_found slack_connect_blocked_file_type
        slack_connect_clip_sharing_blocked slack_connect_file_upload_sharing_blocked streaming_state_conflict
        unable_to_share_files update_failed""",
    "chat.delete": "cant_delete_message compliance_exports_prevent_deletion message_not_found",
    "reactions": """already_reacted bad_timestamp invalid_name no_access no_item_specified no_reaction not_reactable
        thread_locked too_many_emoji too_many_reactions""",
    "conversations.open": """invalid_user_combination method_not_supported_for_channel_type not_enough_users
        too_many_users user_disabled user_not_found user_not_visible users_list_not_supplied""",
    "files": """alt_txt_too_large channels_limit_exceeded file_deleted file_not_found file_type_not_allowed
        file_update_failed file_upload_size_restricted file_uploads_disabled file_uploads_except_images_disabled
        invalid_channel missing_argument posting_to_channel_denied snippet_too_large storage_limit_reached
        unknown_snippet_type unknown_subtype""",
    "oauth.v2.access": """bad_client_secret bad_redirect_uri cannot_install_an_org_installed_app invalid_client_id
        invalid_code invalid_code_verifier invalid_grant_type invalid_refresh_token no_scopes
        oauth_authorization_url_mismatch pkce_not_allowed preview_feature_not_available user_email_unverified""",
    "assistant.threads.setStatus": "invalid_thread_ts",
}


@pytest.mark.parametrize("method", DOCUMENTED)
def test_every_documented_error_is_mapped(method: str) -> None:
    assert [code for code in DOCUMENTED[method].split() if decision(code) is UNMAPPED] == []


@pytest.mark.parametrize("code", DECISIONS)
def test_the_readme_lists_every_row(code: str) -> None:
    row = DECISIONS[code]
    assert f"| {code} | {effect(row)} | {row.text} |" in README


def effect(row: Decision) -> str:
    if row.disable_channel:
        return "channel off"
    if row.blocked:
        return "not reachable"
    if row.outcome == "unknown":
        return "unknown, again"
    wait = f" after {row.wait:g} s" if row.wait else ""
    return f"again{wait}" if row.retryable else "failed"


@pytest.mark.parametrize("row", DECISIONS.values())
def test_a_row_is_consistent(row: Decision) -> None:
    assert row.page.startswith("https://docs.slack.dev/reference/methods/")
    assert row.text.endswith(".")
    assert not (row.retryable and (row.disable_channel or row.blocked))
    assert row.outcome == "refused" or row.retryable


@pytest.mark.parametrize(
    ("status", "body", "wait", "code", "retryable", "waits", "off"),
    [
        (200, {"ok": False, "error": "ratelimited"}, None, "slack:ratelimited", True, 30, False),
        (429, {"ok": False, "error": "ratelimited"}, 5, "slack:ratelimited", True, 5, False),
        (429, {}, 5, "slack:http_429", True, 5, False),
        (429, {"error": "invalid_auth"}, 5, "slack:invalid_auth", True, 5, False),
        (200, {"ok": False, "error": "invalid_auth"}, None, "slack:invalid_auth", False, None, True),
        (200, {"ok": False, "error": "never_heard_of"}, None, "slack:never_heard_of", True, None, False),
        (500, {}, None, "slack:http_500", True, None, False),
        (404, {"error": ["x"]}, None, "slack:http_404", False, None, False),
    ],
)
def test_decisions(
    status: int,
    body: dict[str, object],
    wait: float | None,
    code: str,
    retryable: bool,
    waits: float | None,
    off: bool,
) -> None:
    error = send_error(Reply(status, body, wait))
    assert (error.code, error.retryable, error.wait, error.disable_channel) == (code, retryable, waits, off)


def test_an_unknown_error_is_tried_once_more() -> None:
    error = send_error(Reply(200, {"ok": False, "error": "x" * 500}, None))
    assert (error.retryable, error.most_attempts) == (True, 2)
    assert len(error.code) < 80


def test_a_missing_permission_is_named() -> None:
    error = send_error(Reply(200, {"ok": False, "error": "missing_scope", "needed": "files:write"}, None))
    assert error.text == "The app lacks the permission files:write: install it again."


@pytest.mark.parametrize(
    ("status", "code", "wait", "scope"),
    [
        (429, "ratelimited", 5, "channel"),
        (200, "rate_limited", None, "recipient"),
        (429, "rate_limited", 5, "recipient"),
        *((200, code, None, "channel") for code in ("internal_error", "fatal_error", "service_unavailable")),
        (200, "message_limit_exceeded", None, "channel"),
        (200, "external_channel_migrating", None, "recipient"),
        (200, "streaming_state_conflict", None, "message"),
        (200, "channel_not_found", None, "message"),
        (500, "", None, "channel"),
    ],
)
def test_whom_a_refusal_concerns(status: int, code: str, wait: float | None, scope: str) -> None:
    assert send_error(Reply(status, {"ok": False, "error": code} if code else {}, wait)).scope == scope
