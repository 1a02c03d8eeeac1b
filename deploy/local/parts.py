"""The services of the platform: a new one is one line here."""

SERVICES = ("auth", "dataset", "generation")
