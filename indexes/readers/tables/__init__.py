"""Tables of every format: find the header rows, and write each row as text with its column names."""
