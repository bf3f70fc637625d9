"""What adapts the generator; no part of the package."""
