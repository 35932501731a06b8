"""The base class of all errors that users see.

Every room has one exception class derived from :class:`DomainError`, so that the command line and the page can show any
of them as one sentence: what was wrong, where, and what to do.
"""


class DomainError(Exception):
    """A domain folder, a name, a setting or a question file is invalid; the message says what to do."""
