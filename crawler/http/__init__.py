"""The one client: ranges, redirects, rates, limits, and who may be asked for what."""

from crawler.http.client import Http
from crawler.http.ranges import FirstRange, HeaderBytes, read_header
from crawler.http.response import MAX_REFUSAL_BYTES, Meter, Response
from crawler.http.retry import RequestError
from crawler.http.settings import HttpSettings, Secret, Timeouts, Waits

__all__ = [
    "MAX_REFUSAL_BYTES",
    "FirstRange",
    "HeaderBytes",
    "Http",
    "HttpSettings",
    "Meter",
    "RequestError",
    "Response",
    "Secret",
    "Timeouts",
    "Waits",
    "read_header",
]
