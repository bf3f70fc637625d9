"""The read side: everything that answers a question and changes nothing."""
