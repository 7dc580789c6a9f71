"""The page of an invoice shows what was sent to the ERP, or what would be."""

from builders import an_item

from tieout.export.preview import Payload
from tieout.views.story import Story, explanation


def test_the_story_has_the_payload_or_why_there_is_none_yet():
    sent = explanation(an_item(), Story(payload=Payload(True, {"Invoice_Amount": "12500.00"})))
    would = explanation(an_item(), Story(payload=Payload(False, missing="Vendor 7 has no code")))

    assert '## What was sent to Spectrum\n\n```json\n{\n  "Invoice_Amount": "12500.00"\n}\n```' in sent
    assert "## What would be sent to Spectrum now\n\nNothing yet: Vendor 7 has no code" in would
