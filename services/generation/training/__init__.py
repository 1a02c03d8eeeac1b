"""Training and sampling in child processes.

`runner` is what an asyncio program uses and imports no torch. It starts one `launcher`, which imports the engines'
libraries once and forks a child for every piece of work; the child does the `work` and sends `events` back.
"""
