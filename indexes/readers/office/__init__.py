"""Word, PowerPoint, Excel and OpenDocument files; older formats with calamine or LibreOffice."""
