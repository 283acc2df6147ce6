"""What the tests of the client ask with: a key, a signature, an address of odd characters."""

from typing import Any

from crawler.http import Http, HttpSettings, Meter, Secret, Timeouts, Waits

KEY = "0123456789abcdef-the-key"
SIGNATURE = "c0ffee-signature"
ODD = (
    "/file/a%28b%29%2Fc%3a%7c+d/~!$'()*,;:@x//y/./..%2e"
    '?Q=%2f%2F&e=&&f&g=a+b%20c&h=%7C|{}"<>^`\\[]&i=%e4%b8%ad&s=' + SIGNATURE + "&="
)


#: No server of a test is this slow, however busy the machine is.
PATIENT = Timeouts(connect=10, stall=20, total=30)

#: For servers that never answer in time.
IMPATIENT = Timeouts(connect=2, stall=0.3, total=2)


def settings(url: str, **more: Any) -> HttpSettings:
    quick = {
        "rate": 0,
        "timeouts": PATIENT,
        "waits": Waits(shortest=0, longest=0, longest_asked=0),
        "api_key": Secret(KEY),
    }
    return HttpSettings(api_url=url, **{**quick, **more})


async def get(http: Http, raw: str) -> bytes:
    async with http.storage(raw, 0, 99, meter=Meter()) as found:
        return await found.body(1000)
