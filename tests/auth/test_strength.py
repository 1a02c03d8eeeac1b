"""What is said of a new password: told at once, in words, at a bounded cost."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from zxcvbn.matching import L33T_TABLE, enumerate_l33t_subs, relevant_l33t_subtable

from services.auth.guessing import _beginning
from services.auth.strength import password_faults

EMAIL, NAME = "lovelace@example.org", "Grandmother A."
# What stands for a letter in disguised words, for one letter after another: as many readings as there can be.
_MANY_READINGS = "4@8({[<3691!|05$+7%2" * 6


@pytest.mark.parametrize(
    ("password", "told"),
    [
        ("1234567890", "common password."),
        ("1q2w3e4r5t6y", "This is a very common password."),
        ("password123", "This is a very common password."),
        ("iloveyousomuch", "This is similar to a commonly used password."),
        ("dragonmonkeyfootball", "Add another word or two."),
        ("Summer-2026!", "Capitalization doesn't help very much."),
        ("Welcome-12345", "This is similar to a commonly used password."),
        ("P@ssw0rd-2026!", "Predictable substitutions like '@' instead of 'a' don't help very much."),
        ("drowssap123", "Reversed words aren't much harder to guess."),
        ("ｐａｓｓｗｏｒｄ１２３", "This is a very common password."),
        ("qwertyuiopasdfghjkl", "This is similar to a commonly used password."),
        ("poiuytrewqlkj", "Add another word or two."),
        ("Qwertz-12345678", "This is similar to a commonly used password."),
        ("Abcdefgh-87654321", "Add another word or two."),
        ("letmein letmein letmein", 'Repeats like "abcabcabc" are only slightly harder to guess than "abc".'),
        ("zzzzzzzzzzzzzzzz", 'Repeats like "aaa" are easy to guess.'),
        ("31.12.1999-Berlin", "Avoid dates and years that are associated with you."),
        ("19851224-ada", "Dates are often easy to guess."),
        ("administrator's", "Uncommon words are better."),
        ("Mirage-2026!", "Uncommon words are better."),
    ],
)
def test_what_guessers_try_first(password: str, told: str) -> None:
    """What lists of stolen passwords hold, also in disguise, keys in a row, dates: refused, with what would help."""
    *others, guessed = password_faults(password, EMAIL, NAME)
    assert guessed.startswith("is too easy to guess. ")
    assert told in guessed
    assert all("different characters" in fault for fault in others)


@pytest.mark.parametrize(
    ("password", "faults"),
    [
        ("lovelace", ["10 to 128", "name of the e-mail", "too easy"]),
        ("My-EXAMPLE-lovelace", ["name of the e-mail", "domain of the e-mail"]),
        ("grandmother9", ["your name", "too easy"]),
        ("Grandmother of three tigers", ["your name"]),
        ("", ["10 to 128", "different characters", "too easy"]),
        ("kX9!vLq2#", ["10 to 128", "too easy"]),
        ("aababbbabaabbbab", ["different characters"]),
        ("tigers like green umbrellas " * 5, ["10 to 128"]),
    ],
)
def test_every_fault_is_told(password: str, faults: list[str]) -> None:
    """Each thing that is wrong is told, and nothing else."""
    told = password_faults(password, EMAIL, NAME)
    assert len(told) == len(faults)
    for fault, text in zip(faults, told, strict=True):
        assert fault in text


@pytest.mark.parametrize(
    "password",
    [
        "Correct-horse-7",
        "correct horse battery staple",
        "tigers like green umbrellas",
        "kX9!vLq2#m",
        "x7gq2blm9trwvd",
        "пароль-Сложный-1",
        "日本語のパスワードです",
        "Tigers like umbrellas. " * 4 + "1234567",  # 99 characters
        _MANY_READINGS[:128],
    ],
)
def test_good_passwords(password: str) -> None:
    """A few words, ten random characters, any script, a long phrase: good, whatever kinds of characters they have."""
    assert password_faults(password, EMAIL, NAME) == []


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(
        st.text(max_size=140),
        st.text(alphabet="0123456789.-/²½١", max_size=140),
        st.text(alphabet="İıßﬁǅ\u0301aA", max_size=140),
    ),
    st.text(max_size=100),
)
@example("a" * 1_000_000, NAME)
def test_any_text_is_judged(password: str, name: str) -> None:
    """Whatever somebody sends as a password or a name, the answer says what is wrong with it."""
    if not 10 <= len(password) <= 128:
        assert "10 to 128 characters" in password_faults(password, EMAIL, name)[0]


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet=_MANY_READINGS[:20] + "aeiou", max_size=140))
@example(_MANY_READINGS)
def test_work_is_bounded(password: str) -> None:
    """However many words a text of symbols could stand for, so much of it is judged as is soon done."""
    judged = _beginning(password)
    readings = enumerate_l33t_subs(relevant_l33t_subtable(judged, L33T_TABLE))
    assert len(readings) * len(judged) ** 2 <= 100_000
    assert judged == password[: len(judged)]
    assert len(judged) >= min(len(password), 14)
