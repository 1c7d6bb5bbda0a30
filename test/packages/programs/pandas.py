"""Tables: read CSV, group, pivot, merge, resample, write and read Excel."""

import pandas as pd

with open("sales.csv", "w", encoding="utf-8") as f:
    f.write(
        "day,city,product,units,price\n"
        "2024-01-01,Zürich,tea,3,2.50\n"
        "2024-01-01,Oslo,coffee,2,4.00\n"
        "2024-01-02,Zürich,coffee,1,4.20\n"
        "2024-01-08,Oslo,tea,,2.60\n"
        "2024-01-09,Oslo,tea,5,2.40\n"
        '2024-01-10,Zürich,"tea, green",2,3.00\n'
    )

sales = pd.read_csv("sales.csv", parse_dates=["day"])
assert sales.shape == (6, 5)
assert sales["units"].isna().sum() == 1
assert sales["product"].iloc[-1] == "tea, green"
sales["total"] = sales["units"].fillna(0) * sales["price"]

by_city = sales.groupby("city")["total"].agg(["sum", "max", "count"])
assert list(by_city.index) == ["Oslo", "Zürich"]
assert by_city["sum"].round(2).tolist() == [20.0, 17.7]
assert by_city.loc["Oslo", "max"] == 12.0
assert by_city["count"].tolist() == [3, 3]

pivot = sales.pivot_table(index="product", columns="city", values="total", aggfunc="sum", fill_value=0)
assert pivot.loc["coffee"].round(2).to_dict() == {"Oslo": 8.0, "Zürich": 4.2}

countries = pd.DataFrame({"city": ["Oslo", "Zürich", "Rome"], "country": ["NO", "CH", "IT"]})
merged = countries.merge(by_city, on="city", how="left").set_index("country")
assert bool(merged["sum"].isna()["IT"])

weekly = sales.set_index("day")["total"].resample("W").sum()
assert weekly.round(2).tolist() == [19.7, 18.0]
assert [str(day.date()) for day in weekly.index] == ["2024-01-07", "2024-01-14"]

with pd.ExcelWriter("report.xlsx", engine="openpyxl") as writer:
    sales.to_excel(writer, sheet_name="sales", index=False)
    by_city.to_excel(writer, sheet_name="cities")
sheets = pd.read_excel("report.xlsx", sheet_name=None)
assert list(sheets) == ["sales", "cities"]
assert sheets["sales"]["total"].round(2).tolist() == sales["total"].round(2).tolist()
assert sheets["sales"]["day"].dt.day.tolist() == [1, 1, 2, 8, 9, 10]
assert "Zürich" in sales.to_string()
assert "<table" in by_city.to_html()

print("ok: pandas")
