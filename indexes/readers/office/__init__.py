"""Word, PowerPoint, Excel and OpenDocument files; older formats through calamine or LibreOffice."""
