"""Mirage: synthetic tables that have the statistics of real ones and none of their people."""
