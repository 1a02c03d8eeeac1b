"""What happens to the whole platform, and to those who use it, when a part of it fails."""
