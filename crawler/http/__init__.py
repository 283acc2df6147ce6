"""The HTTP client: ranges, redirects, rates, limits, and which URLs may be requested."""

from crawler.http.client import Http, HttpSettings, Secret, Timeouts
from crawler.http.ranges import FirstRange, read_header
from crawler.http.response import Meter, Response
from crawler.http.retry import BRIEF_WAITS, RequestError, Waits

__all__ = [
    "BRIEF_WAITS",
    "FirstRange",
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
