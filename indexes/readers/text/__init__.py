"""Plain text and similar formats: source code, CSV, JSON; and base64 data in text."""
