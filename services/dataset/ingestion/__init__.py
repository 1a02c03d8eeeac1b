"""Reads a file of any format into a table: Parquet with types, and a profile.

Runs in a child process: it imports no gRPC and no database, and knows nothing of users.
"""
