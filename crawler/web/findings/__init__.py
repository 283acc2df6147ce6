"""What the LoRAs in a database show: sections of sentences and charts, for the report and the page.

Every figure comes from the statistics that `stats`, `authors` and `sql` use. A section names the
commands that print its figures.
"""
