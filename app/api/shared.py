"""Parameters and answers that many operations have, as components that they refer to.

Who makes such a part gives it the name of its component; the parts stand in the operations until the document is complete.
"""

from __future__ import annotations

from typing import Any, Final

_NAME: Final = "x-component"
_METHODS: Final = ("get", "post", "put", "patch", "delete")


def named(component: str, part: dict[str, Any]) -> dict[str, Any]:
    """A parameter or an answer that is to be the component of this name."""
    return {**part, _NAME: component}


def refer(document: dict[str, Any]) -> None:
    """Moves each named part to the components and leaves a reference. One name is one part: anything else is a ValueError."""
    parameters, responses = (document["components"][kind] for kind in ("parameters", "responses"))
    for item in document["paths"].values():
        for operation in (item[method] for method in _METHODS if method in item):
            if "parameters" in operation:
                operation["parameters"] = [_moved(one, "parameters", parameters) for one in operation["parameters"]]
            given = operation["responses"].items()
            operation["responses"] = {status: _moved(one, "responses", responses) for status, one in given}


def _moved(part: dict[str, Any], kind: str, components: dict[str, Any]) -> dict[str, Any]:
    name = part.get(_NAME)
    if name is None:
        return part
    plain = {member: value for member, value in part.items() if member != _NAME}
    if components.setdefault(name, plain) != plain:
        raise ValueError(f"two {kind} are called {name}: {components[name]} and {plain}")
    return {"$ref": f"#/components/{kind}/{name}"}
