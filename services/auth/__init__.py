"""Accounts, sessions, tokens: who may use the platform, and how everybody else can tell."""
