"""Excel: each sheet that is shown is a table, or a list of questions and answers."""

import io
from datetime import date, datetime, time, timedelta
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from brain.parse import Parsed, Refused, Section
from brain.parse.encoding import clean, one_line
from brain.parse.table import row_sections


def parse_sheets(data: bytes) -> Parsed:
    """Sections of a workbook; a sheet's name is a heading where there are several. Raises Refused."""
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(data))
        shown = [
            sheet.name
            for sheet in book.sheets_metadata
            if sheet.visible == SheetVisibleEnum.Visible and sheet.typ == SheetTypeEnum.WorkSheet
        ]
        sheets = [(name, book.get_sheet_by_name(name).to_python()) for name in shown]
    except CalamineError as error:
        raise Refused(
            "The workbook is damaged and can't be read. Save it again and add the new copy."
        ) from error
    sections: list[Section] = []
    for name, values in sheets:
        rows = [cells for row in values if any(cells := [_shown(value) for value in row])]
        heading = (one_line(clean(name)),) if len(shown) > 1 else ()
        for section in row_sections(rows):
            sections.append(Section(section.blocks, heading, None, section.question))
    return Parsed("", tuple(sections))


def _shown(value: Any) -> str:
    """A cell as a reader writes it: no `60.0`, no `00:00:00` behind a date."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else f"{value:.10g}"
    if isinstance(value, datetime):
        return value.isoformat(" ", "minutes") if value.time() != time() else value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, time):
        return value.isoformat("minutes")
    if isinstance(value, timedelta):
        return str(value)
    return one_line(clean(str(value)))
