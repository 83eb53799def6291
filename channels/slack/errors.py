"""What Slack's errors mean and what to do about each.

Slack answers most of them with status 200 and `{"ok": false, "error": "…"}`. Those that every method has:
https://docs.slack.dev/reference/methods/chat.postMessage#errors
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from channels.http import Reply
from channels.kit import http_error
from channels.read import word
from gateway.model.errors import SendError
from gateway.model.lanes import Scope

_METHODS: Final = "https://docs.slack.dev/reference/methods/"
PAGE: Final = _METHODS + "chat.postMessage#errors"
UPDATE: Final = _METHODS + "chat.update#errors"
DELETE: Final = _METHODS + "chat.delete#errors"
REACT: Final = _METHODS + "reactions.add#errors"
OPEN: Final = _METHODS + "conversations.open#errors"
UPLOAD: Final = _METHODS + "files.getUploadURLExternal#errors"
SHARE: Final = _METHODS + "files.completeUploadExternal#errors"
FILE: Final = _METHODS + "files.info#errors"
OAUTH: Final = _METHODS + "oauth.v2.access#errors"
STATUS: Final = _METHODS + "assistant.threads.setStatus#errors"
SOCKET: Final = _METHODS + "apps.connections.open#errors"


@dataclass(frozen=True, slots=True)
class Decision:
    """What an error leads to. `wait` is in seconds and used when the answer has no Retry-After."""

    text: str
    page: str = PAGE
    retryable: bool = False
    wait: float | None = None
    disable_channel: bool = False
    blocked: bool = False
    outcome: Literal["refused", "unknown"] = "refused"
    scope: Scope = "message"
    """Whom it concerns. A recipient is a Slack channel, or a thread of one."""


def _later(text: str, page: str = PAGE, wait: float | None = None, scope: Scope = "message") -> Decision:
    return Decision(text, page, retryable=True, wait=wait, scope=scope)


def _off(text: str, page: str = PAGE) -> Decision:
    """A person has to act before anything can be sent."""
    return Decision(text, page, disable_channel=True)


def _gone(text: str, page: str = PAGE) -> Decision:
    """Nothing reaches this person or place until they write again."""
    return Decision(text, page, blocked=True)


def _unsure(text: str, page: str = PAGE, scope: Scope = "message") -> Decision:
    """Slack's own words: some aspect of the operation may have succeeded before the error was raised."""
    return Decision(text, page, retryable=True, outcome="unknown", scope=scope)


def _alike(codes: str, same: Decision) -> Mapping[str, Decision]:
    return dict.fromkeys(codes.split(), same)


_FORM: Final = "Slack did not accept the form of the call."

UNMAPPED: Final = Decision("Slack gave an error that Parley does not know.", retryable=True)
"""Retried once, for a new error is as likely to pass as not."""

DECISIONS: Final[Mapping[str, Decision]] = {
    # The token and the installation.
    "invalid_auth": _off("The token is not valid, or Slack refuses calls from this machine's address."),
    "not_authed": _off("The channel has no token."),
    "account_inactive": _off("The workspace or its bot was removed."),
    "token_revoked": _off("The token was revoked, or the app was removed from the workspace."),
    "token_expired": _later("The token has expired; it is renewed with the refresh token."),
    "not_allowed_token_type": _off("This is not a bot token (xoxb-…)."),
    "missing_scope": _off("The app lacks a permission."),
    "team_access_not_granted": _off("The app was not granted access to this workspace."),
    "accesslimited": _off("The workspace limits the app to other networks."),
    "two_factor_setup_required": _off("The workspace demands that two-factor sign-in is set up first."),
    "invalid_refresh_token": _off("The refresh token is not valid any more: install the app again.", OAUTH),
    "app_not_found": _off("The app does not exist any more.", SOCKET),
    "forbidden_team": _off("The workspace does not allow this app.", SOCKET),
    "socket_mode_not_enabled": _off("Socket Mode is switched off in the app's settings.", SOCKET),
    "not_enabled": _off("Socket Mode is switched off in the app's settings.", SOCKET),
    # Too much, or a fault of theirs.
    "ratelimited": _later("The app makes too many calls.", wait=30, scope="channel"),
    "rate_limited": _later("The app posts too many messages here.", wait=1, scope="recipient"),
    "message_limit_exceeded": _later(
        "The workspace's members and apps send too many messages.", wait=60, scope="channel"
    ),
    "service_unavailable": _later("Slack is not available for the moment.", scope="channel"),
    "request_timeout": _later("The request did not reach Slack whole."),
    "org_login_required": _later(
        "The workspace moves into an Enterprise organisation.", wait=600, scope="channel"
    ),
    "team_added_to_org": _later(
        "The workspace moves into an Enterprise organisation.", wait=600, scope="channel"
    ),
    "external_channel_migrating": _later("The shared channel is being moved.", UPDATE, 60, "recipient"),
    "streaming_state_conflict": _later(
        "The message is being written to by another part of the app.", UPDATE, 2
    ),
    "fatal_error": _unsure("Slack had a catastrophic fault.", scope="channel"),
    "internal_error": _unsure("Slack had a fault.", scope="channel"),
    "update_failed": _later("Slack could not change the message.", UPDATE),
    # The place or the person.
    "channel_not_found": _gone("The conversation does not exist, or the app can't see it."),
    "not_in_channel": _gone("The app is not a member of the channel: invite it with /invite."),
    "is_archived": _gone("The channel is archived."),
    "is_inactive": _gone("The channel is frozen, archived or deleted.", UPDATE),
    "user_not_found": _gone("The person does not exist in this workspace.", OPEN),
    "user_not_visible": _gone("The app may not see this person.", OPEN),
    "user_disabled": _gone("The person's account is deactivated.", OPEN),
    "user_is_bot": _gone("The recipient is an app.", OPEN),
    "cannot_dm_bot": _gone("An app can't be written to.", OPEN),
    "cannot_message_disconnected": _gone("The other company's connection has ended.", OPEN),
    "messages_tab_disabled": Decision("The app's Messages tab is switched off: App Home > Show Tabs."),
    "invalid_user_combination": Decision("The person shares no channel with this workspace.", OPEN),
    "method_not_supported_for_channel_type": Decision("This kind of conversation can't be opened.", OPEN),
    **_alike("users_list_not_supplied not_enough_users", Decision("No person was named.", OPEN)),
    "too_many_users": Decision("Too many people were named.", OPEN),
    "restricted_action": Decision("A setting of the workspace does not let the app post here."),
    "restricted_action_read_only_channel": Decision("Nobody may post in this channel."),
    "restricted_action_thread_only_channel": Decision("Only threads may be posted in, in this channel."),
    "restricted_action_non_threadable_channel": Decision("Threads are switched off in this channel."),
    "restricted_action_thread_locked": Decision("The thread was locked."),
    "thread_locked": Decision("The thread was locked.", REACT),
    "cannot_reply_to_message": Decision("This message can't have replies."),
    "invalid_thread_ts": Decision("The thread does not exist any more.", STATUS),
    "ekm_access_denied": Decision("The workspace's administrators have suspended posting."),
    "posting_to_channel_denied": Decision("The app may not share files in this conversation.", SHARE),
    "invalid_channel": _gone("The conversation does not exist, or the app can't see it.", SHARE),
    # Of this place or this call, not of the installation: other conversations go on.
    "no_permission": Decision("The app lacks a permission, or is not a member of the conversation."),
    "access_denied": Decision("The app is denied access to what was asked for."),
    "enterprise_is_restricted": Decision("The call can't be made for an Enterprise organisation."),
    "team_not_found": Decision("The workspace of this conversation was not found."),
    "slack_connect_file_upload_sharing_blocked": Decision("Files are blocked in shared channels.", UPDATE),
    "slack_connect_file_link_sharing_blocked": Decision("Links to files are blocked in shared channels."),
    "slack_connect_canvas_sharing_blocked": Decision("Canvases are blocked in shared channels."),
    "slack_connect_blocked_file_type": Decision("This kind of file is blocked in shared channels.", UPDATE),
    # The message.
    "msg_too_long": Decision("The text is too long.", UPDATE),
    "msg_blocks_too_long": Decision("The message's parts are too long together."),
    "no_text": Decision("The message is empty."),
    "invalid_blocks": Decision("Slack did not accept a part of the message."),
    "invalid_blocks_format": Decision("Slack did not accept the form of the message."),
    "invalid_attachments": Decision("Slack did not accept an attachment.", UPDATE),
    "too_many_attachments": Decision("The message has too many attachments."),
    "attachment_payload_limit_exceeded": Decision("The message's attachments are too large."),
    "too_many_contact_cards": Decision("The message has too many contact cards."),
    "invalid_metadata_format": Decision("Slack did not accept the message's metadata."),
    "invalid_metadata_schema": Decision("Slack did not accept the message's metadata."),
    "metadata_too_large": Decision("The message's metadata is too large."),
    "metadata_must_be_sent_from_app": Decision("Metadata can only be sent with an app's token."),
    "duplicate_message_not_found": _unsure(
        "Slack took the message for a double, and did not find the first."
    ),
    "invalid_arguments": Decision("Slack did not accept a value in the call."),
    "missing_argument": Decision("A value is missing in the call; an empty file leads to this.", UPLOAD),
    **_alike("invalid_arg_name invalid_array_arg invalid_charset invalid_form_data", Decision(_FORM)),
    **_alike("invalid_post_type missing_post_type invalid_json json_not_object", Decision(_FORM)),
    "unknown_method": Decision("Slack does not know the call."),
    "method_deprecated": Decision("Slack has ended the call: Parley needs an update."),
    "deprecated_endpoint": Decision("Slack has ended the call: Parley needs an update."),
    # Changing, deleting, reacting.
    "message_not_found": Decision("The message does not exist any more.", UPDATE),
    "cant_update_message": Decision("The app may not change this message: it is not the app's.", UPDATE),
    "edit_window_closed": Decision("The workspace does not allow changes this late.", UPDATE),
    "block_mismatch": Decision("This message's form does not allow the change.", UPDATE),
    "cant_broadcast_message": Decision("The reply can't be shown in the channel.", UPDATE),
    "cant_delete_message": Decision("The app may not delete this message: it is not the app's.", DELETE),
    "compliance_exports_prevent_deletion": Decision("The workspace keeps all messages.", DELETE),
    "already_reacted": Decision("The app has reacted with this emoji already.", REACT),
    "no_reaction": Decision("The app has not reacted with this emoji.", REACT),
    "invalid_name": Decision("The workspace does not know this emoji.", REACT),
    "bad_timestamp": Decision("The message's id is not one of Slack's.", REACT),
    "no_item_specified": Decision("No message was named.", REACT),
    "not_reactable": Decision("This can't be reacted to.", REACT),
    "no_access": Decision("The app may not react to this.", REACT),
    "too_many_emoji": Decision("The message has too many different reactions.", REACT),
    "too_many_reactions": Decision("The app has reacted too often to this message.", REACT),
    # Files.
    "file_not_found": _later("Slack does not find the file that was uploaded.", SHARE),
    "file_deleted": Decision("The file was deleted.", FILE),
    "file_is_deleted": Decision("The file was deleted.", UPDATE),
    "file_update_failed": _later("Slack could not finish the upload.", SHARE),
    "unable_to_share_files": _later("Slack could not share the file.", UPDATE),
    "file_type_not_allowed": Decision("The workspace does not allow this kind of file.", UPLOAD),
    "blocked_file_type": Decision("The workspace does not allow this kind of file.", UPDATE),
    "file_uploads_disabled": Decision("The workspace does not allow files.", UPLOAD),
    "file_uploads_except_images_disabled": Decision("The workspace allows pictures only.", UPLOAD),
    "file_upload_size_restricted": Decision("The file is larger than the workspace allows.", UPLOAD),
    "storage_limit_reached": Decision("The workspace's storage is full.", UPLOAD),
    "file_share_limit_reached": Decision("The file was shared too often.", UPDATE),
    "max_file_sharing_exceeded": Decision("Too many files in one message.", UPDATE),
    "channels_limit_exceeded": Decision("The file is shared to too many channels.", SHARE),
    "missing_file_data": Decision("Something is missing to share the file."),
    "slack_connect_clip_sharing_blocked": Decision("Clips are blocked in shared channels.", UPDATE),
    "alt_txt_too_large": Decision("The picture's description is too long.", UPLOAD),
    "snippet_too_large": Decision("The text file is too large to be shown.", UPLOAD),
    "unknown_snippet_type": Decision("Slack does not know this kind of text file.", UPLOAD),
    "unknown_subtype": Decision("Slack does not know this kind of file.", UPLOAD),
    # Installing.
    "invalid_code": Decision("The installation took too long or was answered twice: start it again.", OAUTH),
    "code_already_used": Decision("The installation was answered already: start it again.", OAUTH),
    "bad_redirect_uri": Decision("The app's redirect URL differs from PUBLIC_URL/slack/oauth.", OAUTH),
    "bad_client_secret": Decision("SLACK_CLIENT_SECRET is wrong.", OAUTH),
    "invalid_client_id": Decision("SLACK_CLIENT_ID is wrong.", OAUTH),
    **_alike("invalid_grant_type invalid_code_verifier pkce_not_allowed", Decision(_FORM, OAUTH)),
    "no_scopes": Decision("The installation asked for no permissions.", OAUTH),
    "oauth_authorization_url_mismatch": Decision(
        "The installation began at an old address of Slack's.", OAUTH
    ),
    "cannot_install_an_org_installed_app": Decision("The organisation has the app installed already.", OAUTH),
    "preview_feature_not_available": Decision(
        "The workspace does not have this feature of Slack's yet.", OAUTH
    ),
    "user_email_unverified": Decision("Confirm your e-mail address with Slack first.", OAUTH),
}
"""By error. Sentences are for the business's own people and say nothing of the message."""


def decision(code: str) -> Decision:
    return DECISIONS.get(code, UNMAPPED)


def send_error(reply: Reply) -> SendError:
    """The error of an answer that is not `ok`."""
    code = word(reply.body.get("error"))[:64]
    if not code:
        return http_error("slack", reply.status, reply.wait)
    known = decision(code)
    text = known.text
    if code == "missing_scope" and (needed := word(reply.body.get("needed"))[:128]):
        text = f"The app lacks the permission {needed}: install it again."
    error = SendError(
        code=f"slack:{code}",
        text=text,
        retryable=known.retryable,
        wait=reply.wait if reply.wait is not None else known.wait,
        scope=known.scope,
        outcome=known.outcome,
        disable_channel=known.disable_channel,
        blocked=known.blocked,
        most_attempts=2 if known is UNMAPPED else None,
    )
    if known.scope == "message" and (reply.status == 429 or reply.status >= 500 or reply.wait is not None):
        error = replace(error, scope="channel")
    # A status that says "too many" or "try again" outweighs a row written for the common case.
    return replace(error, retryable=True, disable_channel=False) if reply.status == 429 else error


def is_ok(reply: Reply) -> bool:
    return reply.ok and reply.body.get("ok") is True


def scopes(header: str) -> frozenset[str]:
    """The scopes that a token has, from the `x-oauth-scopes` header of any answer to it."""
    return frozenset(s.strip() for s in header.split(",") if s.strip())


def as_refused(error: SendError) -> SendError:
    """The same for a call that does not carry the message itself: it was certainly not taken."""
    return replace(error, outcome="refused")


def no_token() -> SendError:
    return SendError("slack:no_token", "The channel has no usable bot token.", disable_channel=True)
