"""`insights restore`: brings back objects as they were at a time, or from a copy of the bucket."""
