"""Headers made to be misread: name -> header, bytes of body, code of our error or None for sound."""

_FIELDS = '"dtype":"F32","shape":[1],"data_offsets":[0,4]'


def _ignored(value: str) -> bytes:
    """A sound tensor with a further field of this value."""
    return f'{{"a":{{{_FIELDS},"x":{value}}}}}'.encode()


def _sized(shape: str, offsets: str = "[0,4]", dtype: str = "F32") -> bytes:
    return f'{{"a":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}'.encode()


def _nested(levels: int) -> bytes:
    """So many containers open at once; two of them are the header's own."""
    inner = levels - 2
    return _ignored("[" * inner + "]" * inner)


def _empty(name: str) -> str:
    return f'"{name}":{{"dtype":"F16","shape":[0],"data_offsets":[0,0]}}'


CASES: dict[str, tuple[bytes, int, str | None]] = {
    # The document.
    "nothing": (b"", 0, "invalid_json"),
    "empty object": (b"{}", 0, None),
    "blanks around": (b" \n\t\r{} \n\t\r", 0, None),
    "form feed in front": (b"\x0c{}", 0, "invalid_json"),
    "byte order mark": (b"\xef\xbb\xbf{}", 0, "invalid_json"),
    "padded with NUL": (b"{}\x00\x00", 0, "invalid_json"),
    "padded with spaces": (b"{}      ", 0, None),
    "two documents": (b"{}{}", 0, "invalid_json"),
    "array": (b"[]", 0, "invalid_json"),
    "null": (b"null", 0, "invalid_json"),
    "cut off": (_ignored("1")[:-1], 4, "invalid_json"),
    "trailing comma": (_sized("[1]")[:-1] + b",}", 4, "invalid_json"),
    "trailing comma in an entry": (_ignored("1")[:-2] + b",}}", 4, "invalid_json"),
    "trailing comma behind metadata": (b'{"__metadata__":{},}', 0, "invalid_json"),
    "comment": (b"{}//", 0, "invalid_json"),
    "overlong UTF-8": (b'{"__metadata__":{"a":"\xc0\x80"}}', 0, "invalid_utf8"),
    "surrogate in UTF-8": (b'{"__metadata__":{"a":"\xed\xa0\x80"}}', 0, "invalid_utf8"),
    "beyond Unicode": (b'{"__metadata__":{"a":"\xf4\x90\x80\x80"}}', 0, "invalid_utf8"),
    "latin-1 between tokens": (b"{\xa0}", 0, "invalid_utf8"),
    "no-break space between tokens": ("{\u00a0}".encode(), 0, "invalid_json"),
    # Metadata.
    "no metadata": (_sized("[1]"), 4, None),
    "metadata null": (b'{"__metadata__":null}', 0, None),
    "metadata empty": (b'{"__metadata__":{}}', 0, None),
    "metadata array": (b'{"__metadata__":[]}', 0, "invalid_metadata"),
    "metadata text": (b'{"__metadata__":"a"}', 0, "invalid_metadata"),
    "metadata with a number": (b'{"__metadata__":{"a":1}}', 0, "invalid_metadata"),
    "metadata with null": (b'{"__metadata__":{"a":null}}', 0, "invalid_metadata"),
    "metadata nested": (b'{"__metadata__":{"a":{"b":"c"}}}', 0, "invalid_metadata"),
    "metadata nested and malformed": (b'{"__metadata__":{"a":{"b":}}}', 0, "invalid_json"),
    "metadata with equal keys": (b'{"__metadata__":{"a":"1","a":"2"}}', 0, None),
    "metadata twice": (b'{"__metadata__":{},"__metadata__":{}}', 0, "duplicate_key"),
    "metadata null and again": (b'{"__metadata__":null,"__metadata__":{}}', 0, "duplicate_key"),
    "metadata escaped": (b'{"\\u005f_metadata__":{"a":"b"}}', 0, None),
    "metadata twice, once escaped": (
        b'{"__metadata__":{"a":"b"},"_\\u005fmetadata__":{"a":"b"}}',
        0,
        "duplicate_key",
    ),
    "metadata last": (f'{{{_empty("a")},"__metadata__":{{"b":"c"}}}}'.encode(), 0, None),
    "metadata first, a tensor of its name last": (
        f'{{"__metadata__":{{"a":"b"}},{_empty("__metadata__")}}}'.encode(),
        0,
        "duplicate_key",
    ),
    "a tensor named like the metadata": (
        f"{{{_empty('__metadata__')}}}".encode(),
        0,
        "invalid_metadata",
    ),
    "a tensor named like the metadata, behind another": (
        f"{{{_empty('a')},{_empty('__metadata__')}}}".encode(),
        0,
        "invalid_metadata",
    ),
    "metadata between tensors": (
        f'{{{_empty("a")} , "__metadata__" : {{"b":"c"}} , {_empty("d")}}}'.encode(),
        0,
        None,
    ),
    "metadata last and null": (f'{{{_empty("a")} , "__metadata__":null }}'.encode(), 0, None),
    "metadata last behind two commas": (
        f'{{{_empty("a")},,"__metadata__":{{}}}}'.encode(),
        0,
        "invalid_json",
    ),
    "metadata last in front of a comma": (
        f'{{{_empty("a")},"__metadata__":{{}},}}'.encode(),
        0,
        "invalid_json",
    ),
    "metadata inside a tensor": (
        f'{{"a":{{"__metadata__":{{"b":"c"}},{_FIELDS}}}}}'.encode(),
        4,
        None,
    ),
    "metadata inside a tensor and outside": (
        f'{{"a":{{"__metadata__":{{}},{_FIELDS}}},"__metadata__":{{}}}}'.encode(),
        4,
        None,
    ),
    "metadata inside the metadata": (
        f'{{"__metadata__":{{"__metadata__":"a"}},{_empty("a")}}}'.encode(),
        0,
        None,
    ),
    "metadata of other case": (b'{"__Metadata__":{}}', 0, "invalid_tensor"),
    "metadata with NUL escaped": (b'{"__metadata__":{"\\u0000":"\\u0000"}}', 0, None),
    "metadata with raw NUL": (b'{"__metadata__":{"a":"\x00"}}', 0, "invalid_json"),
    "metadata with raw tab": (b'{"__metadata__":{"a":"\t"}}', 0, "invalid_json"),
    "metadata with raw DEL": (b'{"__metadata__":{"a":"\x7f"}}', 0, None),
    "metadata with a surrogate pair": (b'{"__metadata__":{"a":"\\ud83d\\uDE00"}}', 0, None),
    "metadata with a high surrogate": (b'{"__metadata__":{"a":"\\ud800"}}', 0, "invalid_json"),
    "metadata with a low surrogate": (b'{"__metadata__":{"a":"\\udc00"}}', 0, "invalid_json"),
    "metadata with two high surrogates": (
        b'{"__metadata__":{"a":"\\ud800\\ud800\\udc00"}}',
        0,
        "invalid_json",
    ),
    "metadata with a surrogate one level down": (
        b'{"__metadata__":{"a":"{\\"b\\":\\"\\\\ud800\\"}"}}',
        0,
        None,
    ),
    "metadata with an unknown escape": (b'{"__metadata__":{"a":"\\x41"}}', 0, "invalid_json"),
    "metadata with a short escape": (b'{"__metadata__":{"a":"\\u00e"}}', 0, "invalid_json"),
    # Entries.
    "entry as an array": (b'{"a":["F32",[1],[0,4]]}', 4, None),
    "entry as a longer array": (b'{"a":["F32",[1],[0,4],0]}', 4, "invalid_tensor"),
    "entry as a shorter array": (b'{"a":["F32",[1]]}', 4, "invalid_tensor"),
    "entry as an empty array": (b'{"a":[]}', 4, "invalid_tensor"),
    "entry null": (b'{"a":null}', 0, "invalid_tensor"),
    "entry empty": (b'{"a":{}}', 0, "invalid_tensor"),
    "dtype missing": (b'{"a":{"shape":[1],"data_offsets":[0,4]}}', 4, "invalid_tensor"),
    "shape missing": (b'{"a":{"dtype":"F32","data_offsets":[0,4]}}', 4, "invalid_tensor"),
    "offsets missing": (b'{"a":{"dtype":"F32","shape":[1]}}', 4, "invalid_tensor"),
    "shape null": (_sized("null"), 4, "invalid_tensor"),
    "shape text": (_sized('"1"'), 4, "invalid_tensor"),
    "shape object": (_sized("{}"), 4, "invalid_tensor"),
    "shape nested": (_sized("[[1]]"), 4, "invalid_tensor"),
    "shape with a trailing comma": (_sized("[1,]"), 4, "invalid_json"),
    "fields in another order": (
        b'{"a":{"data_offsets":[0,4],"shape":[1],"dtype":"F32"}}',
        4,
        None,
    ),
    "field with an escape": (
        b'{"a":{"\\u0064type":"F\\u00332","shape":[1],"data_offsets":[0,4]}}',
        4,
        None,
    ),
    "dtype twice": (f'{{"a":{{{_FIELDS},"dtype":"F32"}}}}'.encode(), 4, "duplicate_key"),
    "shape twice": (f'{{"a":{{{_FIELDS},"shape":[1]}}}}'.encode(), 4, "duplicate_key"),
    "offsets twice, once escaped": (
        f'{{"a":{{{_FIELDS},"data\\u005foffsets":[0,4]}}}}'.encode(),
        4,
        "duplicate_key",
    ),
    "ignored field twice": (f'{{"a":{{"x":1,"x":2,{_FIELDS}}}}}'.encode(), 4, None),
    "tensor twice": (f'{{"a":{{{_FIELDS}}},"a":{{{_FIELDS}}}}}'.encode(), 4, None),
    "bad tensor replaced": (f'{{"a":0,"a":{{{_FIELDS}}}}}'.encode(), 4, "invalid_tensor"),
    "bad dtype replaced": (
        f'{{"a":{{"dtype":"F33","shape":[],"data_offsets":[0,0]}},"a":{{{_FIELDS}}}}}'.encode(),
        4,
        "invalid_tensor",
    ),
    "bad offsets replaced": (
        f'{{"a":{{"dtype":"F32","shape":[],"data_offsets":[9,0]}},"a":{{{_FIELDS}}}}}'.encode(),
        4,
        None,
    ),
    "name empty": (f'{{"":{{{_FIELDS}}}}}'.encode(), 4, None),
    "name with a hyphen escaped beside -0": (
        b'{"\\u002d":{"dtype":"F32","shape":[-0],"data_offsets":[0,0]}}',
        0,
        "invalid_tensor",
    ),
    "name with a hyphen": (f'{{"a-b":{{{_FIELDS}}}}}'.encode(), 4, None),
    "name with a quote": (f'{{"a\\"":{{{_FIELDS}}}}}'.encode(), 4, None),
    # Types.
    "dtype unknown": (_sized("[1]", dtype="F33"), 4, "invalid_tensor"),
    "dtype in small letters": (_sized("[1]", dtype="f32"), 4, "invalid_tensor"),
    "dtype as a variant": (
        b'{"a":{"dtype":{"F32":null},"shape":[1],"data_offsets":[0,4]}}',
        4,
        None,
    ),
    "dtype as a variant with content": (
        b'{"a":{"dtype":{"F32":{}},"shape":[1],"data_offsets":[0,4]}}',
        4,
        "invalid_tensor",
    ),
    "dtype as two variants": (
        b'{"a":{"dtype":{"F32":null,"F16":null},"shape":[1],"data_offsets":[0,4]}}',
        4,
        "invalid_tensor",
    ),
    "dtype number": (b'{"a":{"dtype":7,"shape":[1],"data_offsets":[0,4]}}', 4, "invalid_tensor"),
    "F4 even": (_sized("[2]", "[0,1]", "F4"), 1, None),
    "F4 odd": (_sized("[1]", "[0,1]", "F4"), 1, "misaligned"),
    "F6_E2M3 four": (_sized("[4]", "[0,3]", "F6_E2M3"), 3, None),
    "F6_E3M2 three": (_sized("[3]", "[0,3]", "F6_E3M2"), 3, "misaligned"),
    "F8_E8M0": (_sized("[3]", "[0,3]", "F8_E8M0"), 3, None),
    "F8_E4M3FNUZ": (_sized("[3]", "[0,3]", "F8_E4M3FNUZ"), 3, None),
    "F8_E5M2FNUZ": (_sized("[3]", "[0,3]", "F8_E5M2FNUZ"), 3, None),
    "C64": (_sized("[1]", "[0,8]", "C64"), 8, None),
    # Sizes.
    "scalar": (_sized("[]"), 4, None),
    "size 1.0": (_sized("[1.0]"), 4, "invalid_tensor"),
    "size 1e0": (_sized("[1e0]"), 4, "invalid_tensor"),
    "size -0": (_sized("[-0]", "[0,0]"), 0, "invalid_tensor"),
    "offset -0": (_sized("[1]", "[-0,4]"), 4, "invalid_tensor"),
    "two negative sizes": (_sized("[-1,-1]"), 4, "invalid_tensor"),
    "size 01": (_sized("[01]"), 4, "invalid_json"),
    "size 1e999": (_sized("[1e999]"), 4, "invalid_json"),
    "size of 64 bits beside 0": (_sized(f"[{2**64 - 1},0]", "[0,0]"), 0, None),
    "size of 65 bits beside 0": (_sized(f"[0,{2**64}]", "[0,0]"), 0, "overflow"),
    "size of 65 bits behind an ignored field": (
        f'{{"a":{{"x":0,"dtype":"U8","shape":[0,{2**64}],"data_offsets":[0,0]}}}}'.encode(),
        0,
        "invalid_tensor",
    ),
    "size of 400 digits": (_sized(f"[{'1' * 400}]"), 4, "overflow"),
    "size of 5,000 digits": (_sized(f"[{'1' * 5000}]"), 4, "invalid_json"),
    "overflow in front of a 0": (_sized(f"[{2**63},2,0]", "[0,0]"), 0, "overflow"),
    "overflow behind a 0": (_sized(f"[0,{2**63},2]", "[0,0]"), 0, None),
    "overflow of bits": (_sized(f"[{2**60}]", f"[0,{2**62}]"), 0, "overflow"),
    "many dimensions": (_sized(f"[{','.join(['1'] * 500)}]"), 4, None),
    "many dimensions and a 0": (_sized(f"[0,{','.join(['9'] * 500)}]", "[0,0]"), 0, None),
    "many dimensions that overflow": (_sized(f"[{','.join(['9'] * 500)}]"), 4, "overflow"),
    # Offsets.
    "end before its beginning": (_sized("[1]", "[4,0]"), 4, "invalid_offset"),
    "hole in front": (_sized("[1]", "[1,5]"), 5, "invalid_offset"),
    "size too small": (_sized("[2]"), 4, "invalid_size"),
    "one offset": (_sized("[1]", "[4]"), 4, "invalid_tensor"),
    "three offsets": (_sized("[1]", "[0,4,4]"), 4, "invalid_tensor"),
    "offset of 4,000 digits": (_sized("[1]", f"[0,{'9' * 4000}]"), 4, "invalid_offset"),
    "end before its beginning behind another": (
        (
            b'{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},'
            b'"b":{"dtype":"U8","shape":[0],"data_offsets":[2,1]}}'
        ),
        2,
        "invalid_offset",
    ),
    "overlap": (
        (
            b'{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},'
            b'"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}'
        ),
        3,
        "invalid_offset",
    ),
    "shared bytes": (f'{{"a":{{{_FIELDS}}},"b":{{{_FIELDS}}}}}'.encode(), 4, "invalid_offset"),
    "hole": (
        (
            b'{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},'
            b'"b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}}'
        ),
        5,
        "invalid_offset",
    ),
    "last tensor first": (
        (
            b'{"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]},'
            b'"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}'
        ),
        4,
        None,
    ),
    "empty tensors at one offset": (f"{{{_empty('a')},{_empty('b')}}}".encode(), 0, None),
    "body missing": (_sized("[1]"), 3, "incomplete"),
    "body too long": (_sized("[1]"), 5, "incomplete"),
    "body without tensors": (b"{}", 1, "incomplete"),
    # Ignored fields are looked into as closely.
    "ignored null": (_ignored("null"), 4, None),
    "ignored nul": (_ignored("nul"), 4, "invalid_json"),
    "ignored NaN": (_ignored("NaN"), 4, "invalid_json"),
    "ignored -Infinity": (_ignored("-Infinity"), 4, "invalid_json"),
    "ignored -0": (_ignored("-0"), 4, None),
    "ignored 1e308": (_ignored("1e308"), 4, None),
    "ignored 1e309": (_ignored("1e309"), 4, "invalid_json"),
    "ignored 0e999": (_ignored("0e999"), 4, None),
    "ignored 1e-999": (_ignored("1e-999"), 4, None),
    "ignored exponent beyond 32 bits": (_ignored("1e99999999999"), 4, "invalid_json"),
    "ignored exponent beyond 32 bits of 0": (_ignored("0e99999999999"), 4, None),
    "ignored 8 digits and 299 zeros": (_ignored("[99999999e299,0.9e0299]"), 4, None),
    "ignored 9 digits and 300 zeros": (_ignored("[0,999999999e300]"), 4, "invalid_json"),
    "ignored exponent of zeros": (_ignored("[1e000,1E+00]"), 4, None),
    "ignored minus without digits": (_ignored("[0,-]"), 4, "invalid_json"),
    "ignored containers of many depths": (
        _ignored('[[],[[]],[[[]]],[[[[]]]],{"a":{"b":[{"c":{}}]},"d":[]},0]'),
        4,
        None,
    ),
    "ignored containers closed in another order": (_ignored("[[[0}],0]"), 4, "invalid_json"),
    "ignored fields around the others": (
        (
            b'{"a":{"x":[],"dtype":"F32","y":{"dtype":0},"dtypes":"","shape":[1],"":0,'
            b'"data_offsets":[0,4],"z":1}}'
        ),
        4,
        None,
    ),
    "ignored field in front of an escaped one twice": (
        f'{{"a":{{"x":0,"\\u0064type":"F32","y":0,{_FIELDS}}}}}'.encode(),
        4,
        "duplicate_key",
    ),
    "ignored 309 digits": (_ignored("1" * 309), 4, None),
    "ignored 310 digits": (_ignored("1" * 310), 4, "invalid_json"),
    "ignored 400 digits": (_ignored("1" * 400), 4, "invalid_json"),
    "ignored fraction and exponent": (_ignored("0.00001e313"), 4, None),
    "ignored largest float": (_ignored("1.7976931348623157e308"), 4, None),
    "ignored largest float as long as it gets": (
        _ignored("1.7976931348623158e308"),
        4,
        "invalid_json",
    ),
    "ignored number without fraction": (_ignored("1."), 4, "invalid_json"),
    "ignored number without exponent": (_ignored("1e+"), 4, "invalid_json"),
    "ignored leading zero": (_ignored("00"), 4, "invalid_json"),
    "ignored plus sign": (_ignored("+1"), 4, "invalid_json"),
    "ignored lone surrogate": (_ignored('"\\ud83d\\u0041"'), 4, "invalid_json"),
    "ignored lone surrogate in a key": (_ignored('[{"\\udfff":1}]'), 4, "invalid_json"),
    "ignored control character": (_ignored('["\x1f"]'), 4, "invalid_json"),
    "ignored equal keys": (_ignored('{"a":1,"a":[2]}'), 4, None),
    "ignored key that is a number": (_ignored("{1:2}"), 4, "invalid_json"),
    "ignored list without comma": (_ignored("[1 2]"), 4, "invalid_json"),
    "ignored list with a colon": (_ignored("[1:2]"), 4, "invalid_json"),
    "ignored list closed by a brace": (_ignored("[[1},2]"), 4, "invalid_json"),
    "ignored list begun with a comma": (_ignored("[,1]"), 4, "invalid_json"),
    "ignored deep trailing comma": (_ignored('[[{"a":[1,]}]]'), 4, "invalid_json"),
    "ignored braces in texts": (_ignored('[[{"{[":"}]"}],{"]":[["["]]}]'), 4, None),
    "nested 127 deep": (_nested(127), 4, None),
    "nested 128 deep": (_nested(128), 4, "invalid_json"),
    "nested 200 deep": (_nested(200), 4, "invalid_json"),
    "nested 100,000 deep": (_nested(100_000), 4, "invalid_json"),
    "nested 128 deep in front of a comma": (
        _ignored("[" * 125 + "[],0" + "]" * 125),
        4,
        "invalid_json",
    ),
    "nested 127 deep in front of a comma": (_ignored("[" * 124 + "[],0" + "]" * 124), 4, None),
    "nested 127 deep in objects": (_ignored('{"":' * 125 + "0" + "}" * 125), 4, None),
    "nested 128 deep in objects": (_ignored('{"":' * 126 + "0" + "}" * 126), 4, "invalid_json"),
    "nested 127 deep beside others": (
        _ignored("[[0],{},[" * 62 + "[]" + "]]" * 62),
        4,
        None,
    ),
    "a wrong value nested 128 deep": (_sized("[" * 126 + "]" * 126), 4, "invalid_json"),
    "opened and never closed": (b'{"a":' * 50_000, 0, "invalid_json"),
}
