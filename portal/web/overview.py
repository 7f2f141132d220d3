"""The first page after signing in: for each persona, what needs them now."""

from flask import Blueprint, render_template

from portal.access import permit

blueprint = Blueprint("overview", __name__)


@blueprint.get("/")
@permit("self.read")
def show() -> str:
    return render_template("overview/show.html")
