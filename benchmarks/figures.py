"""Print a figure as one line of JSON, with the bound that it is held to."""

import json
import operator

_HOLDS = {"<=": operator.le, ">=": operator.ge, "==": operator.eq}


def figure(name: str, value: float, unit: str, bound: str = "") -> bool:
    """Print a figure and return whether it keeps its bound, for example `<= 90`; one without a bound always does."""
    is_kept = True
    if bound:
        comparison, limit = bound.split()
        is_kept = bool(_HOLDS[comparison](value, float(limit)))
    print(json.dumps({"name": name, "value": round(value, 3), "unit": unit, "bound": bound, "ok": is_kept}), flush=True)
    return is_kept
