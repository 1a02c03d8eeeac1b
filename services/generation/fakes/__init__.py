"""Invented values for columns of personal data, which no model learns."""
