"""PDF: from the text layer of a page to paragraphs, tables and headings in reading order."""
