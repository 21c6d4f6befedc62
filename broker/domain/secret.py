"""A text that must never be shown."""


class Secret:
    """Wraps a sensitive text so that no log, repr or format shows it; ``reveal`` is the only way out."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __len__(self) -> int:
        return len(self._value)

    def __eq__(self, other: object) -> bool:
        raise TypeError("secrets are compared with hmac.compare_digest, never with ==")

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__
