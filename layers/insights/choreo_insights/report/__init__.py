"""The monthly report: figures from the Parquet files, prices, pages and CSV files."""
