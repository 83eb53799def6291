"""Reactions' names and their emoji, both ways: the common ones. https://github.com/iamcal/emoji-data has the names."""

from collections.abc import Mapping
from typing import Final

_NAMES: Final = """
+1 👍|thumbsup 👍|-1 👎|thumbsdown 👎|heart ❤|white_check_mark ✅|heavy_check_mark ✔|ballot_box_with_check ☑|x ❌
ok_hand 👌|clap 👏|pray 🙏|raised_hands 🙌|wave 👋|muscle 💪|point_up ☝|point_up_2 👆|point_down 👇|point_left 👈
point_right 👉|v ✌|crossed_fingers 🤞|handshake 🤝|raised_hand ✋|facepunch 👊|fist ✊|call_me_hand 🤙|writing_hand ✍
smile 😄|smiley 😃|grinning 😀|grin 😁|laughing 😆|satisfied 😆|sweat_smile 😅|joy 😂|rolling_on_the_floor_laughing 🤣
slightly_smiling_face 🙂|upside_down_face 🙃|wink 😉|blush 😊|innocent 😇|heart_eyes 😍|star-struck 🤩|kissing_heart 😘
yum 😋|stuck_out_tongue 😛|stuck_out_tongue_winking_eye 😜|zany_face 🤪|hugging_face 🤗|thinking_face 🤔|sunglasses 😎
neutral_face 😐|expressionless 😑|no_mouth 😶|smirk 😏|unamused 😒|face_with_rolling_eyes 🙄|grimacing 😬|relieved 😌
pensive 😔|sleepy 😪|sleeping 😴|mask 😷|dizzy_face 😵|confused 😕|worried 😟|slightly_frowning_face 🙁|open_mouth 😮
hushed 😯|astonished 😲|flushed 😳|pleading_face 🥺|fearful 😨|cold_sweat 😰|disappointed 😞|cry 😢|sob 😭|scream 😱
tired_face 😫|triumph 😤|rage 😡|angry 😠|exploding_head 🤯|partying_face 🥳|face_palm 🤦|shrug 🤷|melting_face 🫠
saluting_face 🫡|skull 💀|hankey 💩|poop 💩|clown_face 🤡|ghost 👻|alien 👽|robot_face 🤖|eyes 👀|brain 🧠|ear 👂
fire 🔥|sparkles ✨|star ⭐|star2 🌟|zap ⚡|boom 💥|100 💯|tada 🎉|confetti_ball 🎊|gift 🎁|trophy 🏆|first_place_medal 🥇
medal 🏅|dart 🎯|rocket 🚀|airplane ✈|car 🚗|bulb 💡|bell 🔔|no_bell 🔕|mega 📣|loudspeaker 📢|memo 📝|pencil2 ✏
calendar 📆|date 📅|clipboard 📋|pushpin 📌|paperclip 📎|lock 🔒|unlock 🔓|key 🔑|mag 🔍|hourglass ⌛|hourglass_flowing_sand ⏳
alarm_clock ⏰|phone ☎|telephone_receiver 📞|iphone 📱|email ✉|envelope ✉|incoming_envelope 📨|package 📦|moneybag 💰
credit_card 💳|chart_with_upwards_trend 📈|chart_with_downwards_trend 📉|warning ⚠|no_entry ⛔|no_entry_sign 🚫|octagonal_sign 🛑
question ❓|exclamation ❗|heavy_exclamation_mark ❗|bangbang ‼|grey_question ❔|information_source ℹ|recycle ♻
red_circle 🔴|large_green_circle 🟢|large_yellow_circle 🟡|large_blue_circle 🔵|white_circle ⚪|black_circle ⚫
orange_heart 🧡|yellow_heart 💛|green_heart 💚|blue_heart 💙|purple_heart 💜|black_heart 🖤|white_heart 🤍|broken_heart 💔
two_hearts 💕|revolving_hearts 💞|sparkling_heart 💖|cupid 💘|kiss 💋|rose 🌹|sunflower 🌻|cherry_blossom 🌸|four_leaf_clover 🍀
seedling 🌱|sunny ☀|cloud ☁|umbrella ☔|snowflake ❄|rainbow 🌈|earth_americas 🌎|coffee ☕|beer 🍺|beers 🍻|clinking_glasses 🥂
wine_glass 🍷|champagne 🍾|cake 🍰|birthday 🎂|pizza 🍕|hamburger 🍔|cookie 🍪|apple 🍎|dog 🐶|cat 🐱|bug 🐛|unicorn_face 🦄
turtle 🐢|snail 🐌|bee 🐝|see_no_evil 🙈|hear_no_evil 🙉|speak_no_evil 🙊|one 1️⃣|two 2️⃣|three 3️⃣|arrow_up ⬆|arrow_down ⬇
arrow_left ⬅|arrow_right ➡|arrows_counterclockwise 🔄|back 🔙|soon 🔜|new 🆕|sos 🆘|ok 🆗|cool 🆒|free 🆓|heavy_plus_sign ➕
"""
_TONES: Final = {f"skin-tone-{n}": chr(0x1F3F9 + n) for n in range(2, 7)}

EMOJI: Final[Mapping[str, str]] = dict(
    pair.rsplit(" ", 1) for line in _NAMES.split("\n") for pair in line.split("|") if pair
)
"""By name, without the sign that asks for a coloured picture (U+FE0F), but in keycaps."""

_FIRST_NAMES: Final[Mapping[str, str]] = {
    e.replace("\ufe0f", ""): n for n, e in reversed(list(EMOJI.items()))
}


def emoji(name: str) -> str:
    """The emoji of a reaction's name; `:name:` for a workspace's own one or one that we do not know."""
    base, _, tone = name.partition("::")
    found = EMOJI.get(base)
    return found + _TONES.get(tone, "") if found else f":{name}:"


def name(text: str) -> str | None:
    """The reaction's name for an emoji or `:name:`; None for one that Slack would not know."""
    if len(text) > 2 and text[0] == text[-1] == ":":
        return text[1:-1]
    bare = text.replace("\ufe0f", "")
    found = next((t for t, sign in _TONES.items() if bare.endswith(sign)), "")
    known = _FIRST_NAMES.get(bare.removesuffix(_TONES[found]) if found else bare)
    return f"{known}::{found}" if known and found else known
