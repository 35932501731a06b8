"""Read form values and typed text of a PDF page, and count its notes."""

import ctypes
from collections.abc import Callable

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from indexes.readers.tables.table_text import one_line

_MAX_ANNOTATIONS = 5_000
_NOTES = (raw.FPDF_ANNOT_TEXT, raw.FPDF_ANNOT_POPUP)
_CHECKED = (raw.FPDF_FORMFIELD_CHECKBOX, raw.FPDF_FORMFIELD_RADIOBUTTON)


def filled_in(pdf: pdfium.PdfDocument, page: pdfium.PdfPage) -> tuple[list[str], int]:
    """``Name: Ruth`` for each field with a value, ``☑ Name`` for a ticked box, typed text; and the number of notes."""
    lines: dict[str, None] = {}
    notes = 0
    form = pdf.formenv.raw if pdf.formenv else None
    for number in range(min(raw.FPDFPage_GetAnnotCount(page), _MAX_ANNOTATIONS)):
        annotation = raw.FPDFPage_GetAnnot(page, number)
        if not annotation:
            continue
        kind = raw.FPDFAnnot_GetSubtype(annotation)
        if kind == raw.FPDF_ANNOT_FREETEXT:
            lines |= {_typed(annotation): None}
        elif kind in _NOTES:
            notes += kind == raw.FPDF_ANNOT_TEXT
        elif kind == raw.FPDF_ANNOT_WIDGET and form:
            lines |= {_field(form, annotation): None}
        raw.FPDFPage_CloseAnnot(annotation)
    return [line for line in lines if line], notes


def _typed(annotation: ctypes._Pointer) -> str:
    return _said(lambda *to: raw.FPDFAnnot_GetStringValue(annotation, b"Contents", *to))


def _field(form: ctypes._Pointer, annotation: ctypes._Pointer) -> str:
    label = _said(lambda *to: raw.FPDFAnnot_GetFormFieldAlternateName(form, annotation, *to))
    label = label or _said(lambda *to: raw.FPDFAnnot_GetFormFieldName(form, annotation, *to))
    kind = raw.FPDFAnnot_GetFormFieldType(form, annotation)
    if kind in _CHECKED:
        ticked = raw.FPDFAnnot_IsChecked(form, annotation)
        value = _said(lambda *to: raw.FPDFAnnot_GetFormFieldExportValue(form, annotation, *to))
        named = f"{label}: {value}" if value and value not in ("On", "Yes", "1") else label
        return f"☑ {named}" if ticked else f"☐ {named}"
    if kind in (raw.FPDF_FORMFIELD_PUSHBUTTON, raw.FPDF_FORMFIELD_SIGNATURE):
        return ""
    value = _said(lambda *to: raw.FPDFAnnot_GetFormFieldValue(form, annotation, *to))
    return f"{label}: {value}" if label and value else value


def _said(get: Callable[..., int]) -> str:
    """Read a UTF-16 string from a pdfium function, after asking for its length."""
    length = get(None, 0)
    if length <= 2:
        return ""
    buffer = (raw.FPDF_WCHAR * (length // 2))()
    get(buffer, length)
    return one_line(bytes(buffer).decode("utf-16-le", "replace").rstrip("\0"))
