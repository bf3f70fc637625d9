"""The types that clients see, built from the rows that the reads give."""
