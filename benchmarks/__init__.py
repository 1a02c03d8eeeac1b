"""What claims of speed rest on: each benchmark measures Mirage beside a named reference, in the same run."""
