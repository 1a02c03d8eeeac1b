"""Which columns belong to one person or one address, told by their names."""

import re
from collections.abc import Sequence
from typing import Final

from servicekit.personal_data import PersonalKind
from services.generation.fakes.kinds import NAMES, PLACES

# Words that say what a column holds, not whose it is; in the languages whose personal data is looked for.
_KIND_WORDS: Final = (
    "first last full given family sur fore middle user name names firstname lastname fullname surname forename "
    "prenom prénom nom vorname nachname familienname nombre apellido apellidos nome cognome "
    "e mail email courriel correo posta address addresses addr adresse adress direccion dirección indirizzo anschrift "
    "street strasse straße str rue calle via road line line1 line2 1 2 city town ville ort stadt wohnort ciudad "
    "localidad citta città comune municipality zip code post postal postcode postcodes zipcode plz cp cap codigo "
    "código number no nr num id national ssn nin nir dni nie nif codice fiscale tax steuer"
)
_WORDS_OF_KIND: Final = frozenset(_KIND_WORDS.split())
_WORD: Final = re.compile(r"[^\W_\d]+|\d+")
_HUMP: Final = re.compile(r"(?<=[a-zà-ÿ0-9])(?=[A-ZÀ-Þ])")

Named = tuple[str, PersonalKind]


def grouped(columns: Sequence[Named]) -> list[tuple[str, ...]]:
    """The names of columns that belong together, in sets; every column is in exactly one.

    People have names, e-mail addresses and national numbers; addresses have streets, towns and postcodes; anything
    else stands for itself. Where a table has several people or addresses (`sender_name`, `receiver_name`), what the
    names have before or after the kind tells them apart.
    """
    people = _with_followers(
        [column for column in columns if column[1] in NAMES],
        [column for column in columns if column[1] in {PersonalKind.EMAIL, PersonalKind.NATIONAL_ID}],
    )
    addresses = _apart([column for column in columns if column[1] in PLACES])
    together = {PersonalKind.EMAIL, PersonalKind.NATIONAL_ID} | NAMES | PLACES
    alone = [(name,) for name, kind in columns if kind not in together]
    order = {name: place for place, (name, _) in enumerate(columns)}
    sets = [tuple(sorted(names, key=order.__getitem__)) for names in (*people, *addresses, *alone)]
    return sorted(sets, key=lambda names: order[names[0]])


def whose(name: str) -> str:
    """What a column's name says beside the kind: `billing` of `billing_city`; empty where there is nothing."""
    words = [word.casefold() for word in _WORD.findall(_HUMP.sub("_", name))]
    return " ".join(word for word in words if word not in _WORDS_OF_KIND)


def _apart(columns: Sequence[Named]) -> list[list[str]]:
    """Sets in which no kind comes twice: one if that is possible, else by whose they are."""
    kinds = [kind for _, kind in columns]
    if len(set(kinds)) == len(kinds):
        return [[name for name, _ in columns]] if columns else []
    sets: dict[tuple[str, int], dict[PersonalKind, str]] = {}
    for name, kind in columns:
        owner, number = whose(name), 0
        while kind in sets.get((owner, number), {}):
            number += 1
        sets.setdefault((owner, number), {})[kind] = name
    # What says nothing of whose it is belongs to the first that lacks it.
    nameless = sets.pop(("", 0), None)
    if nameless is not None:
        home = next((members for members in sets.values() if not set(members) & set(nameless)), None)
        if home is None:
            sets["", 0] = nameless
        else:
            home.update(nameless)
    return [list(members.values()) for members in sets.values()]


def _with_followers(named: Sequence[Named], followers: Sequence[Named]) -> list[list[str]]:
    """People by their names, with what follows from names; that without a person of its own is one."""
    people = _apart(named)
    strays: dict[str, list[str]] = {}
    for name, _ in followers:
        owner = whose(name)
        home = next((person for person in people if owner in {whose(member) for member in person}), None)
        if home is None and len(people) == 1:
            home = people[0]
        if home is None:
            strays.setdefault(owner, []).append(name)
        else:
            home.append(name)
    return people + list(strays.values())
