"""What the platform tells, with Python's own types: times are aware datetimes, states are lower-case words."""
