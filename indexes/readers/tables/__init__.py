"""Tables of every format: which rows are the header, and each row as text with the names of its columns."""
