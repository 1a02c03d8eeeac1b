"""The services of the platform: a new one is a name here."""

SERVICES = ("activity", "auth", "dataset", "generation", "optimizer")
STORES_OBJECTS = ("dataset", "generation")  # those with a bucket of their own
