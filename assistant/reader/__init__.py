"""The reader: an adapter trained to answer from passages, independent of any domain, and its training data."""
