"""The codes of problems: short stable words that people query in SQL."""

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

#: Meaning of each code, for people and for the docs.
CODES: Mapping[str, str] = MappingProxyType(
    {
        AND_MORE: "more problems of the same field are not listed",
        CONTRADICTED: "the metadata and the tensors disagree; both values are kept",
        DYNAMIC: "a tool that merges or resizes wrote Dynamic in place of a number",
        IMPOSSIBLE_TIME: "the training ended before it began, or lasted longer than 30 days",
        MALFORMED: "a text does not have the trainer's format",
        NOT_A_HASH: "a hash contains other characters than hexadecimal digits",
        NOT_A_NUMBER: "the value is not a number",
        NOT_A_TIME: "the value is neither Unix seconds nor an ISO date",
        NOT_A_TRUTH_VALUE: "the value is neither true nor false",
        NOT_FINITE: "a number is infinite or not a number",
        NOT_JSON: "the text is not valid JSON",
        NOT_TEXT: "the value is not text",
        NOT_WHOLE: "the value is not a whole number",
        OUT_OF_RANGE: "a number is beyond 64 bits, or impossible for its field",
        SEVERAL: "layers have different values, and the column holds one",
        TOO_DEEP: "JSON is nested too deeply",
        TOO_LONG: "a value is too long for a column; the stored header keeps it",
        WRONG_SHAPE: "JSON does not have the trainer's structure",
    }
)


class UnreadableError(ValueError):
    """A value that no column can hold; the caller turns it into a Problem.

    Args:
        code: One of CODES.
        detail: In words, storable.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
