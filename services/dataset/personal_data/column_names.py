"""What a column's name says of its content, in English, French, German, Spanish, Italian and Portuguese."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

from services.dataset.personal_data.kinds import Kind
from services.dataset.personal_data.words import folded, words

PLAIN = 0.7
"""How sure the name alone makes, where it says nothing but the kind."""
PART = 0.5
"""How sure, where the kind is part of a longer name."""

# By language, separated by bars. Without accents, in lower case.
_PHRASES: Mapping[Kind, Mapping[str, str]] = {
    Kind.EMAIL: {
        "en": "email|e mail|mail|email address|mail address",
        "fr": "courriel|adresse mail|adresse email|adresse electronique|mel",
        "de": "mailadresse|emailadresse|e mail adresse",
        "es": "correo|correo electronico",
        "it": "posta elettronica|indirizzo email",
        "pt": "correio eletronico|correio electronico",
    },
    Kind.PHONE_NUMBER: {
        "en": "phone|phone number|telephone|telephone number|mobile|mobile number|cell|cell phone|cellphone|fax"
        "|phone no|tel|msisdn|whatsapp",
        "fr": "telephone|portable|numero de telephone|mobile|tel portable|num tel|fixe",
        "de": "telefon|telefonnummer|handy|handynummer|mobilnummer|rufnummer|mobiltelefon|festnetz",
        "es": "telefono|movil|celular|numero de telefono",
        "it": "telefono|cellulare|numero di telefono|recapito telefonico",
        "pt": "telefone|telemovel|celular|numero de telefone",
    },
    Kind.FULL_NAME: {
        "en": "full name|fullname|person name|contact name|patient name|customer name|client name|employee name"
        "|cardholder|cardholder name|account holder|passenger name|guest name|name of person",
        "fr": "nom complet|nom et prenom|nom prenom|prenom nom|prenom et nom|titulaire|nom du client|nom du patient",
        "de": "vollstandiger name|vor und nachname|vorname nachname|ansprechpartner|kontoinhaber|kundenname"
        "|karteninhaber|name des kunden",
        "es": "nombre completo|nombre y apellidos|nombre y apellido|titular|nombre del cliente|nombre del paciente",
        "it": "nome completo|nome e cognome|cognome e nome|nominativo|intestatario|nome cognome",
        "pt": "nome completo|titular",
    },
    Kind.FIRST_NAME: {
        "en": "first name|firstname|given name|givenname|forename|fname|first names|given names",
        "fr": "prenom|prenoms",
        "de": "vorname|vornamen|rufname",
        "es": "nombre de pila|primer nombre",
        "it": "nome di battesimo|primo nome",
        "pt": "primeiro nome|nome proprio",
    },
    Kind.LAST_NAME: {
        "en": "last name|lastname|surname|family name|familyname|lname|maiden name|second name",
        "fr": "nom de famille|patronyme|nom de naissance|nom usuel",
        "de": "nachname|familienname|zuname|geburtsname",
        "es": "apellido|apellidos|primer apellido|segundo apellido",
        "it": "cognome",
        "pt": "sobrenome|apelido|ultimo nome",
    },
    Kind.POSTAL_ADDRESS: {
        "en": "address|postal address|mailing address|full address|home address|shipping address|billing address",
        "fr": "adresse|adresse postale|adresse complete",
        "de": "adresse|anschrift|postanschrift|postadresse|wohnadresse",
        "es": "direccion|domicilio|direccion postal",
        "it": "indirizzo|indirizzo postale|residenza|domicilio",
        "pt": "endereco|morada",
    },
    Kind.STREET_ADDRESS: {
        "en": "street|street address|address line|address line 1|address 1|street name|addr|line 1",
        "fr": "rue|voie|numero et rue|adresse ligne 1",
        "de": "strasse|strasse und hausnummer|strassenname|strasse hausnummer",
        "es": "calle|via|calle y numero",
        "it": "via|strada|via e numero",
        "pt": "rua|logradouro",
    },
    Kind.CITY: {
        "en": "city|town|city name|locality|place of residence|city of residence",
        "fr": "ville|commune|localite",
        "de": "stadt|ort|wohnort|gemeinde",
        "es": "ciudad|poblacion|localidad|municipio",
        "it": "citta|comune|localita",
        "pt": "cidade|localidade|municipio",
    },
    Kind.POSTCODE: {
        "en": "postcode|post code|postal code|postalcode|zip|zip code|zipcode",
        "fr": "code postal|cp",
        "de": "plz|postleitzahl",
        "es": "codigo postal|cod postal",
        "it": "cap|codice postale|codice di avviamento postale",
        "pt": "codigo postal|cep",
    },
    Kind.IBAN: {
        "en": "iban|bank account|account number|iban number|bank account number",
        "fr": "compte bancaire|numero de compte|rib",
        "de": "kontonummer|bankverbindung|bankkonto",
        "es": "cuenta bancaria|numero de cuenta",
        "it": "conto bancario|conto corrente|numero di conto",
        "pt": "conta bancaria|numero da conta",
    },
    Kind.CARD_NUMBER: {
        "en": "card number|cardnumber|credit card|credit card number|cc number|cc num|ccnum|debit card|card no|pan"
        "|creditcard|payment card",
        "fr": "carte bancaire|numero de carte|carte de credit|num carte",
        "de": "kreditkarte|kreditkartennummer|kartennummer",
        "es": "tarjeta|numero de tarjeta|tarjeta de credito",
        "it": "carta di credito|numero carta|numero di carta",
        "pt": "cartao|numero do cartao|cartao de credito",
    },
    Kind.IP_ADDRESS: {
        "en": "ip|ip address|ipaddress|ip addr|ipv4|ipv6|client ip|remote addr|remote address|source ip|host ip",
        "fr": "adresse ip",
        "de": "ip adresse",
        "es": "direccion ip",
        "it": "indirizzo ip",
        "pt": "endereco ip",
    },
    Kind.NATIONAL_ID: {
        "en": "ssn|social security|social security number|social security no|national id|national insurance number|nino"
        "|ni number|nhs number|nhs no|nhs|national insurance|tax id|taxpayer id|national identity number|itin|tin",
        "fr": "nir|numero de securite sociale|securite sociale|numero secu|num secu|insee|numero insee",
        "de": "steuer id|steueridentifikationsnummer|steuer identifikationsnummer|idnr|sozialversicherungsnummer"
        "|rentenversicherungsnummer|steuernummer|svnr|steuerid",
        "es": "dni|nie|nif|documento de identidad|numero de identificacion",
        "it": "codice fiscale|cod fiscale|cf|codicefiscale",
        "pt": "cpf|nif|contribuinte",
    },
}

# What may stand beside a phrase and says only whose it is.
_ROLES = words(
    "customer client patient employee user contact person member owner guest passenger student home work business"
    " private billing shipping delivery mailing primary secondary main emergency personal applicant driver holder"
    " your my legal current kunde kunden patienten mitarbeiter rechnungs liefer du de la del der des di do cliente"
    " paciente empleado paziente dipendente employe salarie usager usuario utente beneficiary debtor creditor"
    " sender recipient author parent mother father spouse child subscriber account the alt other new old"
)
# The plain word for a name: of a person or of anything else; the values must tell.
_AMBIGUOUS_NAMES: Mapping[str, str] = {
    "name": "en",
    "names": "en",
    "nom": "fr",
    "noms": "fr",
    "nombre": "es",
    "nome": "it",
    "person": "en",
    "contact": "en",
    "customer": "en",
    "patient": "en",
    "employee": "en",
    "passenger": "en",
    "author": "en",
    "owner": "en",
    "agent": "en",
    "doctor": "en",
    "manager": "en",
    "kunde": "de",
    "cliente": "es",
}
AMBIGUOUS = 0.3
# What is called like people often, or after them; a column of such is none of people's names.
_THINGS = frozenset(
    words(
        "company companies organization organisation employer brand make manufacturer model product item title"
        " team club school university hospital hotel store shop restaurant airline carrier bank vendor supplier"
        " publisher label country state region province county district city town place location station airport"
        " port river island street color colour species breed genre category type kind class status month day"
        " weekday season language currency file host domain url user username login nickname handle department job"
        " occupation profession position role societe entreprise marque fabricant modele produit pays etat"
        " departement ville lieu gare couleur mois jour metier fonction poste firma unternehmen marke hersteller"
        " modell produkt land bundesland stadt ort farbe monat tag beruf empresa marca fabricante modelo producto"
        " pais estado provincia ciudad lugar mes dia puesto azienda ditta societa produttore modello prodotto paese"
        " regione citta comune luogo colore mese giorno lavoro"
    )
)
# Kinds whose values look like many other things: their column must be called nothing but the kind.
_PLAIN_ONLY = frozenset({Kind.FULL_NAME, Kind.FIRST_NAME, Kind.LAST_NAME, Kind.CITY})
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_LONGEST_NAME = 100
_LONGEST_PHRASE = 5  # words


class Hint(NamedTuple):
    """What a column's name says: how sure it makes on its own, and its language (two letters, perhaps none)."""

    confidence: float
    language: str


def hints(column: str) -> dict[Kind, Hint]:
    """The kinds that a column's name speaks of."""
    spoken = _words(column)
    plain = tuple(word for word in spoken if word not in _ROLES and not word.isdigit())
    found: dict[Kind, Hint] = {}
    for phrase in (spoken, plain):
        for kind, language in _phrases().get(phrase, {}).items():
            found.setdefault(kind, Hint(PLAIN, language))
    for phrase in _parts(spoken):
        for kind, language in _phrases().get(phrase, {}).items():
            if kind not in _PLAIN_ONLY:
                found.setdefault(kind, Hint(PART, language))
    if not found.keys() & {Kind.FULL_NAME, Kind.FIRST_NAME, Kind.LAST_NAME}:
        [word, *more] = plain or spoken[-1:] or ("",)
        if not more and word in _AMBIGUOUS_NAMES:
            for kind in (Kind.FULL_NAME, Kind.FIRST_NAME, Kind.LAST_NAME):
                found[kind] = Hint(AMBIGUOUS, _AMBIGUOUS_NAMES[word])
    return found


def names_a_thing(column: str) -> bool:
    """Whether a column is called what things, places or organisations are called."""
    return not _THINGS.isdisjoint(_words(column))


def _words(column: str) -> tuple[str, ...]:
    spread = _CAMEL.sub(" ", column[:_LONGEST_NAME])
    return tuple(re.findall(r"[^\W\d_]+|\d+", folded(spread)))


def _parts(spoken: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Neighbouring words, the most first."""
    for length in range(min(_LONGEST_PHRASE, len(spoken)), 0, -1):
        for start in range(len(spoken) - length + 1):
            yield spoken[start : start + length]


@cache
def _phrases() -> dict[tuple[str, ...], dict[Kind, str]]:
    """What each phrase stands for, and in which language; what several share is the first one's."""
    found: dict[tuple[str, ...], dict[Kind, str]] = {}
    for kind, languages in _PHRASES.items():
        for language, phrases in languages.items():
            for phrase in phrases.split("|"):
                found.setdefault(words(phrase), {}).setdefault(kind, language)
    return found
