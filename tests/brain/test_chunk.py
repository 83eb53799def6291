"""Passages."""

from brain.chunk import MAX_CHARS, MAX_WORDS, chunk, sentences
from brain.parse import Section


def test_sentences_end_where_sentences_end() -> None:
    text = "Dr. Smith opens at 9 a.m. on Mondays. It costs €3.50! ¿Qué tal? هل أنت هنا؟ نعم.\n- an item"
    assert sentences(text) == [
        "Dr. Smith opens at 9 a.m. on Mondays.",
        "It costs €3.50!",
        "¿Qué tal?",
        "هل أنت هنا؟",
        "نعم.",
        "- an item",
    ]


def test_a_short_section_is_one_passage_with_its_path() -> None:
    passages = chunk([Section(("One.", "Two."), ("A", "B"), 3)])
    assert [(p.text, p.headings, p.page) for p in passages] == [("One.\nTwo.", ("A", "B"), 3)]


def test_a_long_section_is_cut_at_sentence_ends_into_like_parts() -> None:
    words = "word " * 19
    passages = chunk([Section((" ".join(f"Number {i} {words}end." for i in range(20)),))])
    sizes = [len(passage.text.split()) for passage in passages]
    assert all(80 <= size <= MAX_WORDS for size in sizes)
    assert all(passage.text.startswith("Number") and passage.text.endswith("end.") for passage in passages)
    assert sum(sizes) == 20 * 22


def test_a_table_is_cut_between_rows() -> None:
    rows = "\n".join(f"Row {i} — Price: {i}; Time: {i} days" for i in range(60))
    passages = chunk([Section((rows,))])
    assert "\n".join(passage.text for passage in passages) == rows


def test_an_answer_stays_whole_and_its_parts_keep_the_question() -> None:
    assert len(chunk([Section(("Long answer. " * 120,), question="Why?")])) == 1
    parts = chunk([Section(("Long answer. " * 900,), question="Why?")])
    assert len(parts) > 5
    assert {part.question for part in parts} == {"Why?"}


def test_text_without_spaces_or_ends_is_cut_too() -> None:
    for text in ("x" * 100_000, "word " * 20_000):
        passages = chunk([Section((text.strip(),))])
        assert all(len(passage.text) <= MAX_CHARS for passage in passages)
        assert all(len(passage.text.split()) <= MAX_WORDS for passage in passages)
        joined = "".join(passage.text for passage in passages)
        assert joined.replace(" ", "") == text.replace(" ", "")
