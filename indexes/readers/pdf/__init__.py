"""Read PDF: turn the text layer of a page into paragraphs, tables and headings in reading order."""
