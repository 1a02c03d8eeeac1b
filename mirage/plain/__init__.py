"""The client for everybody else: `from mirage import Client`."""
