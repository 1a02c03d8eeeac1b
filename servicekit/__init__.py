"""Mechanism that every Mirage service uses; never a business rule, and nothing that fewer than two services use."""
