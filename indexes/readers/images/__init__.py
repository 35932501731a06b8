"""Pictures, and the OCR engines that read them."""
