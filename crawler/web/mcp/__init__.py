"""The answers of lora-crawl as tools for assistants, over the Model Context Protocol.

Each tool asks what the command of its name asks. Texts of models come from strangers, so they are cut, and
shown with their control characters escaped.
"""
