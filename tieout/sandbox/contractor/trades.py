"""Names, trades and schedule-of-values texts that the sandbox contractor is made of."""

from __future__ import annotations

from dataclasses import dataclass

COMPANY = "Pinecrest Builders"

PROJECTS = (
    "Riverside Tower",
    "Harbor Point Medical Center",
    "Oak Street Elementary School",
    "Lakeview Parking Structure",
    "Peña Boulevard Transit Hub",
    "Mill Creek Water Treatment Plant",
    "Union Square Hotel",
    "Northgate Distribution Center",
    "Cedar Ridge Apartments",
    "St. Brigid's Library",
    "Foothill Community College",
    "Airport Concourse C",
)

CLOSED_DOOR = "Bayfront Data Center"  # the project that the service account was never added to

STREETS = ("Market St", "Industrial Pkwy", "Foundry Rd", "Railroad Ave", "Commerce Dr", "Quarry Ln")
CITIES = (("Denver", "CO", "80202"), ("Boise", "ID", "83702"), ("Tacoma", "WA", "98402"), ("Reno", "NV", "89501"))

PEOPLE = (
    ("Dana Whitfield", "dana.whitfield"),
    ("Luis Ibáñez", "luis.ibanez"),
    ("Marta Kowalczyk", "marta.kowalczyk"),
    ("Owen Pratt", "owen.pratt"),
    ("Renée Côté", "renee.cote"),
    ("Priya Raman", "priya.raman"),
)

FIRMS = (
    "Acme",
    "Summit",
    "Núñez",
    "Keystone",
    "Blue Mesa",
    "Schäfer",
    "Ironwood",
    "O'Malley",
    "Cascade",
    "Pacific Rim",
    "Delgado & Sons",
    "Frontier",
    "Granite State",
    "Łukasz",
    "Evergreen",
    "Tri-County",
    "Silverline",
    "Hargrove",
    "Two Rivers",
    "Atlas",
    "Björk",
    "Redstone",
    "Liberty",
    "Vanguard",
)


@dataclass(frozen=True)
class Trade:
    name: str  # as it stands in the firm's name
    title: str  # as it stands on the contract
    codes: tuple[tuple[str, str], ...]  # Procore's full cost code, its name
    work: tuple[str, ...]
    stores: bool = False  # delivers materials ahead of installing them
    unit: str = ""  # unit of measure where it is paid by quantity


TRADES = (
    Trade(
        "Concrete",
        "Cast-in-Place Concrete",
        (("03-300", "Cast-in-Place Concrete"), ("03-200", "Concrete Reinforcing"), ("03-100", "Formwork")),
        ("Mobilization", "Spread footings", "Foundation walls", "Slab on grade", "Elevated deck", "Columns",
         "Shear walls", "Stair pans", "Curing and finishing", "Equipment pads"),
    ),
    Trade(
        "Steel",
        "Structural Steel",
        (("05-120", "Structural Steel"), ("05-300", "Metal Decking"), ("05-500", "Metal Fabrications")),
        ("Shop drawings", "Anchor bolts", "Columns and base plates", "Beams and girders", "Metal deck",
         "Stairs and rails", "Lintels", "Field welding", "Touch-up paint"),
        stores=True,
    ),
    Trade(
        "Drywall",
        "Drywall and Framing",
        (("09-250", "Gypsum Board"), ("09-200", "Metal Framing"), ("09-800", "Acoustical Treatment")),
        ("Layout", "Metal stud framing", "Hang board", "Tape and finish", "Shaft wall", "Soffits",
         "Sound insulation", "Ceiling grid", "Patch and repair"),
        stores=True,
    ),
    Trade(
        "Mechanical",
        "HVAC",
        (("23-000", "HVAC"), ("23-300", "Air Distribution"), ("23-900", "Controls")),
        ("Submittals", "Ductwork rough-in", "Air handling units", "VAV boxes", "Hydronic piping", "Insulation",
         "Controls", "Test and balance", "Equipment start-up"),
        stores=True,
    ),
    Trade(
        "Electric",
        "Electrical",
        (("26-000", "Electrical"), ("26-500", "Lighting"), ("28-300", "Fire Alarm")),
        ("Temporary power", "Underground conduit", "Branch rough-in", "Switchgear", "Feeders", "Panels",
         "Light fixtures", "Fire alarm devices", "Trim-out", "Commissioning"),
        stores=True,
    ),
    Trade(
        "Plumbing",
        "Plumbing",
        (("22-000", "Plumbing"), ("22-400", "Plumbing Fixtures")),
        ("Underground sanitary", "Storm drainage", "Domestic water rough-in", "Gas piping", "Fixtures",
         "Water heaters", "Testing", "Trim"),
    ),
    Trade(
        "Excavating",
        "Earthwork",
        (("31-200", "Earth Moving"), ("31-600", "Shoring"), ("33-000", "Site Utilities")),
        ("Clear and grub", "Mass excavation", "Structural backfill", "Trenching", "Haul-off", "Fine grading",
         "Erosion control", "Shoring"),
        unit="CY",
    ),
    Trade(
        "Roofing",
        "Roofing",
        (("07-500", "Membrane Roofing"), ("07-600", "Flashing and Sheet Metal")),
        ("Tear-off", "Insulation", "TPO membrane", "Flashings", "Roof drains", "Coping", "Warranty"),
    ),
    Trade(
        "Glass",
        "Curtain Wall and Glazing",
        (("08-440", "Curtain Wall"), ("08-800", "Glazing")),
        ("Engineering", "Mock-up", "Aluminium framing", "Vision glass", "Spandrel glass", "Entrances",
         "Sealants", "Water test"),
        stores=True,
    ),
    Trade(
        "Painting",
        "Painting",
        (("09-900", "Painting"),),
        ("Prime walls", "Finish walls", "Doors and frames", "Exposed structure", "Exterior", "Touch-up"),
        unit="SF",
    ),
    Trade(
        "Paving",
        "Asphalt Paving",
        (("32-120", "Flexible Paving"), ("32-160", "Curbs and Gutters")),
        ("Subgrade", "Aggregate base", "Asphalt base course", "Wearing course", "Curb and gutter", "Striping"),
        unit="TN",
    ),
    Trade(
        "Fire Protection",
        "Fire Sprinklers",
        (("21-130", "Fire Sprinklers"),),
        ("Design and permits", "Standpipes", "Mains", "Branch lines", "Heads", "Fire pump", "Testing"),
    ),
)  # fmt: skip

AREAS = ("Area A", "Area B", "Level 1", "Level 2", "Level 3", "North Wing", "South Wing", "Core")

SUPPLIES = ("Doors and hardware", "Precast stair units", "Elevator rails", "Switchboard", "Ready-mix supply")

CHANGES = ("Added openings per RFI 41", "Owner upgrade", "Unforeseen rock", "Revised layout per ASI 7",
           "Night work premium")  # fmt: skip

# Codes that exist in Procore only; a line coded to one of them has no phase in the ERP.
UNMAPPED_CODE = ("10-990", "Owner Allowances")
# A code that is mapped to a phase which the ERP has closed or does not know.
STALE_CODE = ("01-740", "Cleaning and Waste")

COST_TYPES = (  # Procore code, name, base type, ERP code, ERP description, GL account
    ("S", "Commitment", "commitment", "SUB", "Subcontract", "510020"),
    ("M", "Materials", "material", "MAT", "Material", "510030"),
    ("E", "Equipment", "equipment", "EQP", "Equipment", "510040"),
)
UNMAPPED_TYPE = ("OC", "Owner Cost", "other")
