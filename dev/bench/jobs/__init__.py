"""The same work done by each of the measured, every one in a process of its own.

`python -m dev.bench.jobs.NAME FOLDER BUCKET` reads the replies in FOLDER, writes Parquet to S3, and
prints its time and memory as a line of JSON.
"""
