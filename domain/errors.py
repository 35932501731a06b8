"""The one family of errors that a user of Lorewright can meet.

Every room has one exception class, and all of them derive from :class:`DomainError`, so that the command line and
the page can show any of them as one sentence: what was wrong, where, and what to do.
"""


class DomainError(Exception):
    """A domain folder, a name, a setting or a question file is not as it must be; the message says what to do."""
