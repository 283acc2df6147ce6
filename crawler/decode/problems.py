"""The codes of problems: short stable words that people ask for in SQL."""

from collections.abc import Mapping
from types import MappingProxyType

AND_MORE = "and_more"
CONTRADICTED = "contradicted"
DYNAMIC = "dynamic"
IMPOSSIBLE_TIME = "impossible_time"
MALFORMED = "malformed"
NOT_A_HASH = "not_a_hash"
NOT_A_NUMBER = "not_a_number"
NOT_A_TIME = "not_a_time"
NOT_A_TRUTH_VALUE = "not_a_truth_value"
NOT_FINITE = "not_finite"
NOT_JSON = "not_json"
NOT_TEXT = "not_text"
NOT_WHOLE = "not_whole"
OUT_OF_RANGE = "out_of_range"
SEVERAL = "several"
TOO_DEEP = "too_deep"
TOO_LONG = "too_long"
WRONG_SHAPE = "wrong_shape"

#: What each code says, for people and for the docs.
CODES: Mapping[str, str] = MappingProxyType(
    {
        AND_MORE: "further problems of the same field are not listed",
        CONTRADICTED: "the metadata says one thing and the tensors another; both are kept",
        DYNAMIC: "a tool that merges or resizes wrote Dynamic in the place of one number",
        IMPOSSIBLE_TIME: "the training ended before it began, or lasted longer than 30 days",
        MALFORMED: "a text is not built the way the trainer builds it",
        NOT_A_HASH: "a hash is not made of hexadecimal digits",
        NOT_A_NUMBER: "text stands where a number belongs",
        NOT_A_TIME: "what stands where a time belongs is neither seconds nor an ISO date",
        NOT_A_TRUTH_VALUE: "what stands where true or false belongs is neither",
        NOT_FINITE: "a number is infinite or not a number",
        NOT_JSON: "a text that should hold JSON cannot be read as such",
        NOT_TEXT: "a number or a list stands where text belongs",
        NOT_WHOLE: "a fraction stands where a whole number belongs",
        OUT_OF_RANGE: "a number is beyond 64 bits or beyond what can be meant",
        SEVERAL: "the layers have several values where a column holds one for all",
        TOO_DEEP: "JSON is nested too deep",
        TOO_LONG: "a value is too long to be kept beside the header",
        WRONG_SHAPE: "JSON is of another shape than the trainer writes",
    }
)


class UnreadableError(ValueError):
    """A value that cannot be held; whoever reads it makes a Problem of it.

    Args:
        code: One of CODES.
        detail: In words, storable as they are.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
