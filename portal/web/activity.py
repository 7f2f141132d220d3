"""Activity files: an agency's contacts and payment claims, many at once."""

from flask import Blueprint, render_template

from models.activity_file import CHANNELS, CLAIM_COLUMNS, DIRECTIONS, OUTCOMES, PAID_TO, PARTIES, contact_columns
from portal.access import permit
from portal.words import label

blueprint = Blueprint("activity", __name__)

# The columns that hold one of a few codes; each is also the name of the table of its words.
CHOICES = {"channel": CHANNELS, "direction": DIRECTIONS, "party": PARTIES, "outcome": OUTCOMES, "paid_to": PAID_TO}


@blueprint.get("/activity")
@permit("activity.upload")
def show() -> str:
    """The files go to the API as raw bodies; what became of each row is shown in place."""
    choices = {name: [(code, label(code, name)) for code in codes] for name, codes in CHOICES.items()}
    return render_template("activity/show.html", contacts=contact_columns(), claims=CLAIM_COLUMNS, choices=choices)
