"""What every connector needs to speak HTTP: a client, the JSON of an answer, and an error body in plain words."""

from tieout.connectors.wire.answers import explain, parse, request_id, server_time
from tieout.connectors.wire.client import PATIENCE, Basic, Client
from tieout.connectors.wire.json_text import elements, parse_text

__all__ = ["PATIENCE", "Basic", "Client", "elements", "explain", "parse", "parse_text", "request_id", "server_time"]
