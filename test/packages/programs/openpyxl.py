"""A workbook with formulas, styles, a chart and merged cells, written and read back."""

import datetime

from openpyxl import Workbook, load_workbook
from openpyxl.chart import BarChart, Reference
from openpyxl.styles import Font, PatternFill
from openpyxl.utils import get_column_letter

rows = [("tea", 3, 2.5), ("coffee", 2, 4.0), ("Rösti", 4, 9.75)]
book = Workbook()
sheet = book.active
sheet.title = "sales"
sheet.append(["product", "units", "price", "total"])
for number, row in enumerate(rows, start=2):
    sheet.append([*row, f"=B{number}*C{number}"])
sheet["A6"], sheet["D6"] = "sum", "=SUM(D2:D4)"
sheet["A7"] = datetime.date(2024, 2, 29)
sheet.merge_cells("B7:D7")
for cell in sheet[1]:
    cell.font = Font(bold=True)
    cell.fill = PatternFill("solid", fgColor="FFDDDDDD")
sheet.column_dimensions[get_column_letter(1)].width = 20
sheet.freeze_panes = "A2"

chart = BarChart()
chart.add_data(Reference(sheet, min_col=2, min_row=1, max_row=4), titles_from_data=True)
sheet.add_chart(chart, "F2")
book.create_sheet("empty")
book.save("sales.xlsx")

book = load_workbook("sales.xlsx")
sheet = book["sales"]
assert book.sheetnames == ["sales", "empty"]
assert [tuple(c.value for c in row) for row in sheet["A2:C4"]] == rows
assert sheet["D3"].value == "=B3*C3"
assert sheet["D6"].value == "=SUM(D2:D4)"
assert sheet["D6"].data_type == "f"
assert sheet["A7"].value == datetime.datetime(2024, 2, 29)
assert sheet["A1"].font.bold
assert sheet["A1"].fill.fgColor.rgb == "FFDDDDDD"
assert sheet.freeze_panes == "A2"
assert [str(r) for r in sheet.merged_cells.ranges] == ["B7:D7"]
assert len(sheet._charts) == 1
# openpyxl stores formulas and computes nothing: there is no cached value.
assert load_workbook("sales.xlsx", data_only=True)["sales"]["D6"].value is None

# Streaming, for workbooks that are larger than memory would like.
stream = Workbook(write_only=True)
page = stream.create_sheet("numbers")
for n in range(2000):
    page.append([n, n * n])
stream.save("numbers.xlsx")
table = load_workbook("numbers.xlsx", read_only=True)
assert sum(row[1] for row in table["numbers"].iter_rows(values_only=True)) == 1999 * 2000 * 3999 // 6
table.close()

print("ok: openpyxl")
