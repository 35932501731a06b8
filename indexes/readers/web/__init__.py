"""Markup: HTML, Markdown, XML and feeds, e-mail (.eml, .msg), EPUB."""
