"""What holds for any engine: a source table becomes a learned table, and learned rows become rows of the source."""
