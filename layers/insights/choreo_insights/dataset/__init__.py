"""The dataset in S3: objects, their keys, columns, ledger and cross-checks."""
