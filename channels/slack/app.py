"""The Slack app itself: its scopes, events and addresses, once, for the installation, the doctor and the manifest.

https://docs.slack.dev/reference/app-manifest
"""

from typing import Final

from channels.slack.events import OUR_EVENT
from channels.slack.interact import COMMAND

SCOPES: Final = (
    "app_mentions:read",
    "assistant:write",
    "channels:history",
    "channels:read",
    "chat:write",
    "commands",
    "files:read",
    "files:write",
    "groups:history",
    "groups:read",
    "im:history",
    "im:write",
    "metadata.message:read",
    "mpim:history",
    "reactions:read",
    "reactions:write",
)
"""What a bot token must carry. Each is used; README.md says for what."""

EVENTS: Final = (
    "app_home_opened",
    "app_mention",
    "app_uninstalled",
    "member_joined_channel",
    "message.channels",
    "message.groups",
    "message.im",
    "message.mpim",
    "message_metadata_posted",
    "reaction_added",
    "reaction_removed",
    "tokens_revoked",
)

PATHS: Final = {"events": "/events", "interactivity": "/interactivity", "commands": "/commands"}
"""Under `/webhooks/slack`."""

REDIRECT: Final = "/slack/oauth"


def address(public_url: str, what: str) -> str:
    return f"{public_url.rstrip('/')}/webhooks/slack{PATHS[what]}"


def manifest(public_url: str, socket_mode: bool = False, rotation: bool = False) -> str:
    """The app's manifest as YAML, to be pasted at https://api.slack.com/apps. With Socket Mode it has no addresses of
    ours but the one that a browser returns to after the installation."""
    return _TEMPLATE.format(
        command=COMMAND,
        command_url="" if socket_mode else f"\n      url: {address(public_url, 'commands')}",
        # Slack sends browsers back to https only.
        redirect=f"\n  redirect_urls:\n    - {public_url.rstrip('/')}{REDIRECT}"
        if public_url.startswith("https://")
        else "",
        scopes="".join(f"\n      - {scope}" for scope in SCOPES),
        events_url="" if socket_mode else f"\n    request_url: {address(public_url, 'events')}",
        events="".join(f"\n      - {event}" for event in EVENTS),
        metadata=OUR_EVENT,
        interactivity_url="" if socket_mode else f"\n    request_url: {address(public_url, 'interactivity')}",
        socket_mode=str(socket_mode).lower(),
        rotation=str(rotation).lower(),
    )


_TEMPLATE: Final = """\
_metadata:
  major_version: 2
  minor_version: 1
display_information:
  name: Parley
  description: Answers your customers from your own documents and brings in a person when it is needed.
  background_color: "#1f5eff"
features:
  app_home:
    home_tab_enabled: false
    messages_tab_enabled: true
    messages_tab_read_only_enabled: false
  bot_user:
    display_name: Parley
    always_online: true
  agent_view:
    agent_description: Answers questions from the business's own documents and brings in a person when it is needed.
  slash_commands:
    - command: /{command}
      description: Ask a question, or ask for a person{command_url}
      usage_hint: "[question | help | human | stop | start | language]"
      should_escape: true
oauth_config:{redirect}
  scopes:
    bot:{scopes}
settings:
  event_subscriptions:{events_url}
    bot_events:{events}
    metadata_subscriptions:
      - app_id: "*"
        event_type: {metadata}
  interactivity:
    is_enabled: true{interactivity_url}
  org_deploy_enabled: false
  socket_mode_enabled: {socket_mode}
  token_rotation_enabled: {rotation}
"""
