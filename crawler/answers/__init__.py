"""What every face of lora-crawl shows: the command line, the page, the report and assistants."""
