"""Plain text and formats close to it: source code, CSV, JSON; and base64 data inside of text."""
