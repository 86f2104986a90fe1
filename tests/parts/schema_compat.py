"""What a JSON Schema refuses that an older one accepted, or means otherwise. Empty: the newer may replace the older.

It knows the keywords our models make. One it does not know is reported, so that nothing is waved through unseen.
"""

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]
_ANNOTATIONS = frozenset({"$schema", "$id", "$defs", "$ref", "title", "description", "examples"})
_LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_EXACT = ("pattern", "format", "allOf", "not", "if", "then", "else")
_STRUCTURE = ("type", "enum", "const", "anyOf", "items", "properties", "required", "additionalProperties", "default")
_KNOWN = frozenset((*_ANNOTATIONS, *_LOWER_BOUNDS, *_UPPER_BOUNDS, *_EXACT, *_STRUCTURE))


def narrowings(old: Schema, new: Schema) -> list[str]:
    """Every way in which `new` is narrower than `old`, as `path: what`."""
    return list(_Comparison(old, new).compare(old, new, "$"))


class _Comparison:
    def __init__(self, old: Schema, new: Schema) -> None:
        self._old, self._new = old, new

    def compare(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        old, new = _resolved(old, self._old), _resolved(new, self._new)
        for keyword in sorted(new.keys() - _KNOWN):
            yield f"{path}: unknown keyword {keyword}"
        if "anyOf" in old or "anyOf" in new:
            yield from self._alternatives(old, new, path)
            return
        yield from _values(old, new, path)
        yield from _bounds(old, new, path)
        yield from self._parts(old, new, path)

    def _alternatives(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        """Every old alternative must be accepted whole by one of the new ones."""
        wider = new.get("anyOf", [new])
        for number, alternative in enumerate(old.get("anyOf", [old])):
            if all(any(True for _ in self.compare(alternative, candidate, path)) for candidate in wider):
                yield f"{path}: alternative {number} ({alternative}) is not accepted any more"
        yield from _default(old, new, path)

    def _parts(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name in before:
            if name in after:
                yield from self.compare(before[name], after[name], f"{path}.{name}")
            else:
                yield f"{path}: {name} is gone"
        for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
            yield f"{path}: {name} is required now"
        more_before, more_after = old.get("additionalProperties", True), new.get("additionalProperties", True)
        if more_after is not True and more_before != more_after:
            yield f"{path}: additionalProperties"
        if "items" in new:
            yield from self.compare(old.get("items", {}), new["items"], f"{path}[]")


def _resolved(schema: Schema, root: Schema) -> Schema:
    """The schema with its reference into `$defs` followed."""
    if "$ref" not in schema:
        return schema
    target = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    return {**target, **{keyword: value for keyword, value in schema.items() if keyword != "$ref"}}


def _types(schema: Schema) -> set[str] | None:
    kinds = schema.get("type")
    if kinds is None:
        return None
    found = {kinds} if isinstance(kinds, str) else set(kinds)
    return found | {"integer"} if "number" in found else found


def _values(old: Schema, new: Schema, path: str) -> Iterator[str]:
    """Types and closed sets."""
    before, after = _types(old), _types(new)
    if after is not None and (before is None or not before <= after):
        yield f"{path}: type {old.get('type')} became {new['type']}"
    for keyword in ("enum", "const"):
        if keyword not in new:
            continue
        allowed = new["enum"] if keyword == "enum" else [new["const"]]
        known = old.get("enum", [old["const"]] if "const" in old else None)
        if known is None or any(value not in allowed for value in known):
            yield f"{path}: {keyword} {known} became {allowed}"
    yield from _default(old, new, path)


def _default(old: Schema, new: Schema, path: str) -> Iterator[str]:
    if "default" in old and old["default"] != new.get("default"):
        yield f"{path}: default {old['default']!r} became {new.get('default')!r}"


def _bounds(old: Schema, new: Schema, path: str) -> Iterator[str]:
    for keyword in _LOWER_BOUNDS:
        if keyword in new and (keyword not in old or new[keyword] > old[keyword]):
            yield f"{path}: {keyword}"
    for keyword in _UPPER_BOUNDS:
        if keyword in new and (keyword not in old or new[keyword] < old[keyword]):
            yield f"{path}: {keyword}"
    for keyword in _EXACT:
        if keyword in new and new[keyword] != old.get(keyword):
            yield f"{path}: {keyword}"
