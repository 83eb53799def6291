"""Text there and back, reactions, and the manifest."""

from pathlib import Path

import pytest

from channels.slack.app import manifest
from channels.slack.emoji import EMOJI, emoji, name
from channels.slack.words import escape, mrkdwn, of_blocks, plain

MANIFEST = Path(__file__).parents[2] / "deploy" / "slack" / "manifest.yaml"


@pytest.mark.parametrize("shown", sorted(EMOJI))
def test_every_known_reaction_comes_back_as_the_same_emoji(shown: str) -> None:
    found = name(emoji(shown))
    assert found is not None
    assert emoji(found) == emoji(shown)


def test_skin_tones_and_pictures() -> None:
    assert emoji("wave::skin-tone-6") == "👋🏿"
    assert name("👋🏿") == "wave::skin-tone-6"
    assert name("❤️") == name("❤") == "heart"
    assert name("1️⃣") == "one"
    assert name("not an emoji") is None
    assert name(":own:") == "own"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<https://a.example>", "https://a.example"),
        ("<https://a.example/|a.example>", "https://a.example/"),
        ("<https://a.example/x|https://a.example/x>", "https://a.example/x"),
        ("a &lt;b&gt; &amp;amp; c", "a <b> &amp; c"),
        ("<not a link>", "<not a link>"),
        ("<javascript:alert(1)|x>", "<javascript:alert(1)|x>"),
        ("1 < 2 > 0", "1 < 2 > 0"),
        ("<@U1> <@U2|bo|b>", "@U1 @bo|b"),
        ("<!channel> <!everyone|all>", "@channel all"),
        ("<@U0BOT00001>: hi", "hi"),
        ("hi <@U0BOT00001>!", "hi!"),
        ("<@U0BOT00001> <@U0BOT00001> twice", "twice"),
    ],
)
def test_what_a_reader_sees(text: str, shown: str) -> None:
    assert plain(text, "U0BOT00001") == shown


def test_customers_words_never_become_mentions_or_links() -> None:
    assert escape("<!channel> <https://evil.example|bank> & co") == (
        "&lt;!channel&gt; &lt;https://evil.example|bank&gt; &amp; co"
    )
    assert mrkdwn("see <!channel> [<b>](https://a.example/|x)") == (
        "see &lt;!channel&gt; <https://a.example/%7Cx|&lt;b&gt;>"
    )


def test_deep_blocks_end() -> None:
    block: dict[str, object] = {"type": "rich_text_list", "elements": [{"type": "text", "text": "x"}]}
    for _ in range(50):
        block = {"type": "rich_text_list", "elements": [block]}
    assert of_blocks([{"type": "rich_text", "elements": [block]}]).startswith("•")


def test_the_committed_manifest_is_what_the_command_prints() -> None:
    assert MANIFEST.read_text() == manifest("https://chat.example.com")


def test_the_manifest_over_a_socket_names_no_address_of_ours() -> None:
    text = manifest("https://chat.example.com/", socket_mode=True, rotation=True)
    assert "webhooks" not in text
    assert "socket_mode_enabled: true" in text
    assert "token_rotation_enabled: true" in text
    assert "https://chat.example.com/slack/oauth" in text
