"""Activity files: an agency's contacts and payment claims, many at once."""

from flask import Blueprint, render_template

from models.activity_file import CLAIM_COLUMNS, contact_columns
from portal.access import permit

blueprint = Blueprint("activity", __name__)


@blueprint.get("/activity")
@permit("activity.upload")
def show() -> str:
    """The files go to the API as raw bodies; what became of each row is shown in place."""
    return render_template("activity/show.html", contacts=contact_columns(), claims=CLAIM_COLUMNS)
