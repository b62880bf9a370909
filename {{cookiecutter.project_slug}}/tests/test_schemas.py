"""What a line of text may hold: any language, but nothing that makes it read as something else."""

import sys
import unicodedata

import pytest
from httpx2 import AsyncClient
from pydantic import TypeAdapter, ValidationError

from app.core.schemas import Line, Text
from conftest import Account

MARKS = "\u061c\u200e\u200f"
TURNS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
NAMES = [
    "Zoë O'Brien-Łukasz",
    "ඩිල්කි ශ්‍රී",  # joined by U+200D
    "علی‌رضا",  # kept apart by U+200C
    "שָׁלוֹם",
    "Ngô Đình Diệm",
    "株式会社 名前",
    "👩‍👩‍👧‍👦 🏴󠁧󠁢󠁥󠁮󠁧󠁿 ❤️",
]


def accepts(adapter: TypeAdapter[str], characters: list[str]) -> bool:
    """Whether these may stand within such a text."""
    try:
        adapter.validate_python(f"a{''.join(characters)}b")
    except ValidationError:
        return False
    return True


def refused(adapter: TypeAdapter[str]) -> set[str]:
    """The characters that may not stand within such a text."""
    found: set[str] = set()
    every = (chr(number) for number in range(sys.maxunicode + 1))
    whole = [each for each in every if unicodedata.category(each) != "Cs"]  # not half of a pair
    for at in range(0, len(whole), 256):
        block = whole[at : at + 256]
        if not accepts(adapter, block):
            found |= {each for each in block if not accepts(adapter, [each])}
    return found


def test_lines_and_texts_hold_no_control_characters_and_nothing_that_turns_their_direction() -> (
    None
):
    controls = {chr(n) for n in range(0x100) if unicodedata.category(chr(n)) == "Cc"}

    assert refused(TypeAdapter(Line)) == controls | {*MARKS, *TURNS, "\u2028", "\u2029"}
    assert refused(TypeAdapter(Text)) == controls - {*"\t\n\r"} | {*TURNS}


@pytest.mark.parametrize("name", NAMES)
async def test_every_language_and_emoji_is_welcome(member: Account, name: str) -> None:
    changed = await member.client.patch("/api/v1/users/me", json={"full_name": name})

    assert (changed.status_code, changed.json()["full_name"]) == (200, name)


@pytest.mark.parametrize("character", [*"\0\x1b\x85\u2028\u202e\u2066"])
async def test_a_name_that_reads_as_something_else_is_refused(
    member: Account, client: AsyncClient, character: str
) -> None:
    name = f"Ada{character}moc.live"
    changed = await member.client.patch("/api/v1/users/me", json={"full_name": name})
    new = {"email": "x@example.com", "password": "correct horse", "full_name": name}
    registered = await client.post("/api/v1/auth/register", json=new)

    assert (changed.status_code, registered.status_code) == (422, 422)
