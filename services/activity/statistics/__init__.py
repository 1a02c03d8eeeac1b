"""Figures of what happened: periods, queries, distributions, and what other services know."""
