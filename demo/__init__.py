"""The demonstration: a real table goes in, synthetic ones come out, all of it on this machine."""
