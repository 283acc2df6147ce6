"""What one crawl gives to others: an export as Parquet files, and how it is taken in."""
