"""From a country to the locale in which values are invented."""

from collections import Counter
from collections.abc import Mapping

from services.dataset.personal_data.evidence import Votes
from services.dataset.personal_data.kinds import locales

# Where a country has several locales or one that isn't told by its code.
_PREFERRED: Mapping[str, str] = {
    "AT": "de_AT",
    "BE": "nl_BE",
    "BR": "pt_BR",
    "CA": "en_CA",
    "CH": "de_CH",
    "ES": "es_ES",
    "FR": "fr_FR",
    "GB": "en_GB",
    "IN": "en_IN",
    "IT": "it_IT",
    "LU": "fr_FR",
    "US": "en_US",
}
# In the order in which a language is taken for a country's.
BY_LANGUAGE: Mapping[str, str] = {
    "en": "en_US",
    "fr": "fr_FR",
    "de": "de_DE",
    "es": "es_ES",
    "it": "it_IT",
    "pt": "pt_PT",
    "nl": "nl_NL",
}


def locale_of(country: str) -> str:
    """The locale of a country (two letters); empty if values are invented for none."""
    if country in _PREFERRED:
        return _PREFERRED[country]
    return min((locale for locale in locales() if locale.endswith(f"_{country}")), default="") if country else ""


def votes_of(countries: Counter[str]) -> Votes:
    """Countries' votes as those of their locales."""
    votes: Counter[str] = Counter()
    for country, count in countries.items():
        if locale := locale_of(country):
            votes[locale] += count
    return votes
