"""Markup and mail: HTML, Markdown, XML and feeds, e-mail (.eml, .msg), EPUB."""
