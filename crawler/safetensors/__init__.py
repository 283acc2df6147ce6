"""The safetensors format: the first bytes of a file to a `Header`. Pure: no IO."""
