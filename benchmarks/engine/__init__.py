"""How good and how fast Mirage's own models are, beside others, on a real table; `make bench-engine`."""
