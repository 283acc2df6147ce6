"""lora-crawl: how the LoRAs on Civitai were trained, as a database."""

try:
    from crawler._version import __version__  # written when the package is built
except ImportError:  # a checkout that is not installed
    __version__ = "0.0.0"

__all__ = ["__version__"]
