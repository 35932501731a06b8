"""Pictures, and the OCR engine that reads them."""
