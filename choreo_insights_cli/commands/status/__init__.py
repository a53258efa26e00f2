"""`insights status`: how the dataset stands, from its listing in S3 and its ledger."""
