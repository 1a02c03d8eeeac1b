"""Labelled columns: invented people in six countries, and what looks like them and is none."""

import random
import string
import uuid
from collections.abc import Callable
from datetime import date, timedelta
from typing import NamedTuple

from faker import Faker
from stdnum import luhn

ROWS = 300
COUNTRIES = ("en_US", "en_GB", "fr_FR", "de_DE", "es_ES", "it_IT")

# How each country calls its columns, so that the names are no help beyond what real tables give.
NAMES: dict[str, dict[str, str]] = {
    "en_US": {
        "email": "email", "phone_number": "phone", "full_name": "name", "first_name": "first_name",
        "last_name": "last_name", "postal_address": "address", "street_address": "street", "city": "city",
        "postcode": "zip", "iban": "iban", "card_number": "card_number", "ip_address": "ip", "national_id": "ssn",
    },
    "en_GB": {
        "email": "contactEmail", "phone_number": "mobile", "full_name": "customer", "first_name": "forename",
        "last_name": "surname", "postal_address": "postal_address", "street_address": "address_line_1", "city": "town",
        "postcode": "postcode", "iban": "account", "card_number": "card", "ip_address": "remote_addr",
        "national_id": "national_insurance",
    },
    "fr_FR": {
        "email": "courriel", "phone_number": "Téléphone", "full_name": "nom", "first_name": "prénom",
        "last_name": "nom_de_famille", "postal_address": "adresse", "street_address": "rue", "city": "ville",
        "postcode": "code_postal", "iban": "compte", "card_number": "carte bancaire", "ip_address": "adresse_ip",
        "national_id": "num_secu",
    },
    "de_DE": {
        "email": "E-Mail", "phone_number": "Telefonnummer", "full_name": "Ansprechpartner", "first_name": "Vorname",
        "last_name": "Nachname", "postal_address": "Anschrift", "street_address": "Straße", "city": "Wohnort",
        "postcode": "PLZ", "iban": "Bankverbindung", "card_number": "Kreditkarte", "ip_address": "IP-Adresse",
        "national_id": "Steuer-ID",
    },
    "es_ES": {
        "email": "correo", "phone_number": "teléfono", "full_name": "nombre", "first_name": "nombre de pila",
        "last_name": "apellidos", "postal_address": "dirección", "street_address": "calle", "city": "ciudad",
        "postcode": "código postal", "iban": "cuenta", "card_number": "tarjeta", "ip_address": "direccion_ip",
        "national_id": "DNI",
    },
    "it_IT": {
        "email": "posta_elettronica", "phone_number": "cellulare", "full_name": "nominativo", "first_name": "nome",
        "last_name": "cognome", "postal_address": "indirizzo", "street_address": "via", "city": "città",
        "postcode": "CAP", "iban": "conto", "card_number": "carta", "ip_address": "indirizzo_ip",
        "national_id": "codice fiscale",
    },
}  # fmt: skip


def listed(text: str) -> list[str]:
    """What a list has between its commas."""
    return text.split(", ")


def words(text: str) -> list[str]:
    """The words of a list."""
    return text.split()


# Common names as statistics offices publish them, written down here, so that not only Faker's own lists are tried.
FIRST_NAMES: dict[str, list[str]] = {
    "en_US": words(
        "Liam Olivia Noah Emma Oliver Charlotte James Amelia Elijah Sophia William Isabella Henry Ava Lucas Mia"
        " Benjamin Evelyn Theodore Luna Mateo Harper Levi Camila Sebastian Gianna Daniel Elizabeth Jack Eleanor"
        " Michael Ella"
    ),
    "fr_FR": words(
        "Jean Pierre Michel André Philippe René Louis Alain Jacques Bernard Marcel Daniel Roger Robert Paul"
        " Claude Marie Jeanne Françoise Monique Catherine Nathalie Isabelle Jacqueline Anne Sylvie Martine"
        " Madeleine Nicole Suzanne"
    ),
    "de_DE": words(
        "Peter Michael Thomas Andreas Wolfgang Klaus Jürgen Günter Stefan Christian Uwe Werner Horst Frank Dieter"
        " Ursula Maria Monika Petra Elisabeth Sabine Renate Helga Karin Brigitte Ingrid Erika Andrea Gisela"
        " Claudia"
    ),
    "es_ES": words(
        "Antonio Manuel José Francisco David Juan Javier Daniel Carlos Jesús Alejandro Miguel Rafael Pedro Pablo"
        " María Carmen Ana Isabel Laura Cristina Marta Dolores Lucía Pilar Elena Raquel Rosario Sara Paula"
    ),
    "it_IT": words(
        "Giuseppe Giovanni Antonio Mario Luigi Francesco Angelo Vincenzo Pietro Salvatore Carlo Franco Domenico"
        " Bruno Paolo Michele Giorgio Aldo Sergio Maria Anna Giuseppina Rosa Angela Giovanna Teresa Lucia Carmela"
        " Caterina"
    ),
}
LAST_NAMES: dict[str, list[str]] = {
    "en_US": words(
        "Smith Johnson Williams Brown Jones Garcia Miller Davis Rodriguez Martinez Hernandez Lopez Gonzalez"
        " Wilson Anderson Thomas Taylor Moore Jackson Martin Lee Perez Thompson White Harris Sanchez Clark Ramirez"
        " Lewis"
    ),
    "fr_FR": words(
        "Martin Bernard Thomas Petit Robert Richard Durand Dubois Moreau Laurent Simon Michel Lefebvre Leroy Roux"
        " David Bertrand Morel Fournier Girard Bonnet Dupont Lambert Fontaine Rousseau Vincent Muller Lefèvre"
        " Faure Mercier"
    ),
    "de_DE": words(
        "Müller Schmidt Schneider Fischer Weber Meyer Wagner Becker Schulz Hoffmann Schäfer Koch Bauer Richter"
        " Klein Wolf Schröder Neumann Schwarz Zimmermann Braun Krüger Hofmann Hartmann Lange Schmitt Werner Krause"
        " Meier Lehmann"
    ),
    "es_ES": words(
        "García Rodríguez González Fernández López Martínez Sánchez Pérez Gómez Martín Jiménez Hernández Ruiz"
        " Díaz Moreno Muñoz Álvarez Romero Gutiérrez Alonso Navarro Torres Domínguez Ramos Vázquez Ramírez Gil"
        " Serrano Morales Molina"
    ),
    "it_IT": words(
        "Rossi Russo Ferrari Esposito Bianchi Romano Colombo Ricci Marino Greco Bruno Gallo Conti Mancini Costa"
        " Giordano Rizzo Lombardi Moretti Barbieri Fontana Santoro Mariani Rinaldi Caruso Ferrara Galli Martini"
        " Leone Longo"
    ),
}


class Labelled(NamedTuple):
    """A column and what it holds; an empty kind for nothing personal."""

    name: str
    kind: str
    values: list[str]


def people_in(locale: str, seed: int = 1) -> list[Labelled]:
    """A table of people with every kind of personal data, its columns called as they are in the country."""
    fake = Faker(locale)
    fake.seed_instance(seed)
    makers: dict[str, Callable[[], str]] = {
        "email": fake.email,
        "phone_number": fake.phone_number,
        "full_name": fake.name,
        "first_name": fake.first_name,
        "last_name": fake.last_name,
        "postal_address": fake.address,
        "street_address": fake.street_address,
        "city": fake.city,
        "postcode": fake.postcode,
        "iban": fake.iban,
        "card_number": fake.credit_card_number,
        "ip_address": fake.ipv4,
        "national_id": _national_id(fake, locale),
    }
    return [Labelled(NAMES[locale][kind], kind, _some(make)) for kind, make in makers.items()]


def names_in(locale: str, seed: int = 1) -> list[Labelled]:
    """Names of people in columns whose own names say nothing."""
    draws = random.Random(seed)  # noqa: S311 - the same ones each time
    firsts, lasts = FIRST_NAMES[locale], LAST_NAMES[locale]
    return [
        Labelled("a", "full_name", [f"{draws.choice(firsts)} {draws.choice(lasts)}" for _ in range(ROWS)]),
        Labelled("b", "first_name", [draws.choice(firsts) for _ in range(ROWS)]),
        Labelled("c", "last_name", [draws.choice(lasts) for _ in range(ROWS)]),
    ]


def things(seed: int = 1) -> list[Labelled]:
    """Columns that hold nothing personal, whatever they look like."""
    draws, fake = random.Random(seed), Faker("en_US")  # noqa: S311 - the same ones each time
    fake.seed_instance(seed)
    day = date(2021, 1, 1)
    columns: dict[str, Callable[[], str]] = {
        "order_number": lambda: str(draws.randrange(10**15, 10**16)),
        "visa_like_reference": lambda: "4" + _digits(draws, 15),
        "imei": lambda: _with_luhn("35" + _digits(draws, 12)),
        "siret": lambda: _with_luhn(_digits(draws, 13)),
        "customer_id": lambda: _digits(draws, 9),
        "invoice": lambda: f"{draws.randrange(2015, 2025)}-{_digits(draws, 6)}",
        "ticket": lambda: f"{_digits(draws, 3)}-{_digits(draws, 3)}-{_digits(draws, 3)}",
        "serial": lambda: "".join(draws.choices(string.ascii_uppercase + string.digits, k=12)),
        "ten_digits": lambda: _digits(draws, 10),
        "eleven_digits": lambda: "1" + _digits(draws, 10),
        "timestamp": lambda: str(draws.randrange(1_500_000_000, 1_700_000_000)),
        "milliseconds": lambda: str(draws.randrange(1_500_000_000_000, 1_700_000_000_000)),
        "uuid": lambda: str(uuid.UUID(int=draws.getrandbits(128), version=4)),
        "version": lambda: ".".join(str(draws.randrange(12)) for _ in range(4)),
        "release": lambda: f"v{draws.randrange(9)}.{draws.randrange(30)}.{draws.randrange(99)}",
        "mac": lambda: ":".join(f"{draws.randrange(256):02x}" for _ in range(6)),
        "time": lambda: f"{draws.randrange(24):02}:{draws.randrange(60):02}:{draws.randrange(60):02}",
        "day_written": lambda: (day + timedelta(days=draws.randrange(900))).strftime("%d.%m.%Y"),
        "price": lambda: f"€ {draws.randrange(1, 9_999):,}.{draws.randrange(100):02}",
        "coordinate": lambda: f"{draws.uniform(-90, 90):.6f},{draws.uniform(-180, 180):.6f}",
        "isbn": fake.isbn13,
        "ean": fake.ean13,
        "airport": lambda: draws.choice(words("JFK LAX ORD CDG FRA MAD FCO LHR AMS MUC VIE ZRH BCN MXP")),
        "airport_of": lambda: draws.choice(CITIES),
        "destination": lambda: draws.choice(CITIES),
        "state": fake.state,
        "country": fake.country,
        "company": fake.company,
        "job": fake.job,
        "colour": lambda: draws.choice(("Brown", "Green", "White", "Black", "Gray", "Rose", "Violet", "Amber", "Blue")),
        "product": lambda: f"{draws.choice(('Oak', 'Pine'))} {draws.choice(('Table', 'Lamp'))} {draws.randrange(99)}",
        "model": lambda: f"{draws.choice(('XC', 'GT', 'A', 'RS'))}-{draws.randrange(100, 999)}",
        "manufacturer": lambda: draws.choice(("BOEING", "AIRBUS", "EMBRAER", "CESSNA", "McDONNELL DOUGLAS", "PIPER")),
        "car": lambda: draws.choice(words("Ford Lincoln Mercedes Chevrolet Tesla Honda Kia Fiat Opel Renault Seat")),
        "month": lambda: draws.choice(words("January February March April May June July August September October")),
        "species": lambda: draws.choice(SPECIES),
        "wine": lambda: draws.choice(WINES),
        "film": lambda: draws.choice(FILMS),
        "fashion": lambda: draws.choice(FASHION),
        "county": lambda: f"{draws.choice(COUNTIES)} County",
        "shoe": lambda: f"{draws.choice(('Court', 'Street', 'Trail'))} Runner {draws.randrange(36, 46)}",
        "set": lambda: f"{draws.randrange(2, 12)} Piece {draws.choice(('Oak', 'Pine'))} Court Set",
        "tracking": lambda: "1Z" + "".join(draws.choices(string.ascii_uppercase + string.digits, k=16)),
        "vin": lambda: "".join(draws.choices("ABCDEFGHJKLMNPRSTUVWXYZ0123456789", k=17)),
        "flight": lambda: f"{draws.choice(('BA', 'AF', 'LH'))} {draws.randrange(100, 9_999):04}",
        "part": lambda: "-".join(_digits(draws, 2) for _ in range(5)),
        "amount": lambda: f"{draws.randrange(1, 999)}.{_digits(draws, 3)},{_digits(draws, 2)}",
        "business_number": lambda: f"{_digits(draws, 2)} {_digits(draws, 3)} {_digits(draws, 3)} {_digits(draws, 3)}",
        "moment": lambda: f"2021-0{draws.randrange(1, 10)}-1{_digits(draws, 1)} 0{_digits(draws, 1)}:30",
        "latitude": lambda: f"{draws.uniform(40, 50):.7f}",
        "bits": lambda: "".join(draws.choices("01", k=16)),
        "note": lambda: f"Called on Main Street 5 about order {draws.randrange(999)} and " + fake.paragraph(3),
        "sentence": fake.sentence,
        "title_of_film": fake.catch_phrase,
        "url": fake.url,
        "handle": lambda: "@" + fake.user_name(),
        "user_name": fake.user_name,
        "file": fake.file_name,
        "hash": fake.sha1,
        "plate": fake.license_plate,
        "reference": lambda: draws.choice(("DE", "FR")) + _digits(draws, 20),
        "city": lambda: draws.choice(CITIES),
        "zip": fake.postcode,
        "name": lambda: draws.choice(("Espresso", "Latte", "Flat White", "Cold Brew", "Green Tea", "Mocha")),
        "address_type": lambda: draws.choice(("home", "work", "other")),
        "phone_model": lambda: draws.choice(("Galaxy S21", "iPhone 13", "Pixel 6", "Xperia 5")),
        "email_opened": lambda: draws.choice(("yes", "no")),
        "ip_version": lambda: draws.choice(("IPv4", "IPv6")),
        "route": lambda: f"Route {draws.randrange(99)}",
        "sku": lambda: f"{_digits(draws, 4)}-{_digits(draws, 3)}-{_digits(draws, 4)}",
        "fiscal_quarter": lambda: f"{draws.randrange(2015, 2025)} Q{draws.randrange(1, 5)}",
        "team": lambda: draws.choice(words("Lakers Celtics Bulls Heat Jazz Kings Magic Spurs Nets Suns")),
    }  # fmt: skip
    return [Labelled(name, "", _some(make)) for name, make in columns.items()]


SPECIES = listed(
    "Iris setosa, Iris virginica, Canis lupus, Felis catus, Ursus arctos, Quercus robur, Pinus sylvestris, "
    "Betula pendula, Mus musculus, Rattus norvegicus, Apis mellifera, Bos taurus, Equus caballus, Ovis aries, "
    "Sus scrofa, Gallus gallus, Anas platyrhynchos, Passer domesticus, Corvus corax, Parus major, Turdus "
    "merula, Sturnus vulgaris"
)
WINES = listed(
    "Pinot Noir, Cabernet Sauvignon, Merlot, Syrah, Grenache, Sangiovese, Nebbiolo, Barbera, Tempranillo, "
    "Malbec, Zinfandel, Chardonnay, Riesling, Pinot Grigio, Sauvignon Blanc, Viognier, Semillon, Chenin "
    "Blanc, Albarino, Verdejo, Carmenere"
)
FILMS = listed(
    "The Godfather, Forrest Gump, Jackie Brown, Annie Hall, Erin Brockovich, Jerry Maguire, Barry Lyndon, "
    "Inception, Alien, Casablanca, Psycho, Vertigo, Rocky, Jaws, Fargo, Heat, Seven, Gladiator, Amadeus, "
    "Titanic, Rebecca, Carrie, Laura, Gandhi"
)
FASHION = listed(
    "Calvin Klein, Tommy Hilfiger, Ralph Lauren, Hugo Boss, Giorgio Armani, Nike, Adidas, Puma, Zara, Gucci, "
    "Prada, Versace, Chanel, Louis Vuitton, Michael Kors, Marc Jacobs, Stella McCartney, Paul Smith, Tom "
    "Ford, Levis, Gap, Uniqlo, Diesel"
)
COUNTIES = words(
    "Jackson Washington Jefferson Franklin Lincoln Madison Clay Montgomery Union Marion Monroe Wayne Grant Greene"
    " Warren Carroll Adams Clark Douglas Johnson Lake Lee Polk Marshall"
)
CITIES = words(
    "Paris Florence Austin Dallas Houston Jackson Madison Lincoln Charlotte Savannah Sydney Victoria Denver"
    " Seattle Chicago Boston Berlin Hamburg Munich Vienna Madrid Barcelona Seville Rome Milan Turin Naples"
    " Lyon Marseille Nice Nantes London Leeds Bristol Glasgow Dublin Lisbon Porto Oslo Stockholm Helsinki"
    " Prague Warsaw Athens"
)


def _national_id(fake: Faker, locale: str) -> Callable[[], str]:
    if locale == "de_DE":
        return lambda: _german_tax_id(fake.random)
    if locale == "es_ES":
        return lambda: str(fake.nif())
    if locale == "en_GB":
        # Faker's begin with ZZ, which no true one does.
        return lambda: (
            f"{fake.random.choice('ABCEGHJKLMNPRSTWXYZ')}{fake.random.choice('ABCEGHJLMPRSWXY')}"
            f"{_digits(fake.random, 6)}{fake.random.choice('ABCD')}"
        )
    return fake.ssn


def _german_tax_id(draws: random.Random) -> str:
    """Ten digits of which one occurs twice and the others once or not at all, and a check digit (ISO 7064, 11,10)."""
    digits = draws.sample("0123456789", 9)
    digits.insert(draws.randrange(1, 10), draws.choice(digits))
    if digits[0] == "0":
        digits[0], digits[-1] = digits[-1], digits[0]
    product = 10
    for digit in digits:
        total = (int(digit) + product) % 10 or 10
        product = 2 * total % 11
    return "".join(digits) + str((11 - product) % 10)


def _with_luhn(digits: str) -> str:
    return digits + str(luhn.calc_check_digit(digits))


def _digits(draws: random.Random, count: int) -> str:
    return "".join(draws.choices(string.digits, k=count))


def _some(make: Callable[[], str]) -> list[str]:
    return [make() for _ in range(ROWS)]
