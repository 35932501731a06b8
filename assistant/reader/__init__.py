"""The reader: an adapter trained to read passages before any domain, and the examples it is trained on."""
