"""Metrics in Prometheus's format: what every process measures of itself, and the port on which it tells."""
