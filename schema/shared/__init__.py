"""The words that all rooms of the schema share: errors with a code, JSON as text, and text that hides nothing."""
