"""The forms of conduct, jobs, organisations and one's own account: the API's shapes, as people type them."""

from marshmallow import ValidationError, fields, validate, validates_schema

from models.services.oversight.breaches import BreachFilter
from models.services.parties.members import PASSWORD_LENGTH_MIN, SCOPES
from portal.schemas.base import BusinessDay
from portal.schemas.conduct import BreachQuery, ConsistencyQuery, JobRunRequest
from portal.schemas.directory import OrganisationRequest, Text
from portal.schemas.forms import Form, ListQuery


class BreachListForm(ListQuery, BreachQuery):
    """The API's filters; the page's cursor is `cursor`."""

    def filter_of(self, query: dict[str, object]) -> BreachFilter:
        return BreachFilter(**{name: query[name] for name in BreachFilter._fields})  # type: ignore[arg-type]


class MandateChoiceForm(Form):
    lender_id = fields.UUID(required=True)


class JobRunForm(Form, JobRunRequest):
    pass


class RunListForm(ListQuery):
    job = fields.String(load_default=None, validate=validate.Length(1, 40))
    state = fields.String(load_default=None, validate=validate.OneOf(("queued", "running", "done", "failed")))


class EntryListForm(Form):
    """`cursor` is the index at which the page before ended."""

    cursor = fields.Integer(load_default=None, validate=validate.Range(0))


class ConsistencyForm(Form, ConsistencyQuery):
    pass


class DayListForm(Form):
    """`cursor` is the business day at which the page before ended."""

    cursor = fields.Date(load_default=None, validate=BusinessDay)


class OrganisationForm(Form, OrganisationRequest):
    """An organisation with its first person; the password is made here and shown once."""

    email = fields.Email(required=True)
    person = fields.String(required=True, validate=Text)
    roles = fields.List(fields.String(), required=True, validate=validate.Length(1, 4))
    locale = fields.String(load_default="", validate=validate.OneOf(("zh", "en")))


class TokenForm(Form):
    name = fields.String(required=True, validate=Text)
    scopes = fields.List(fields.String(validate=validate.OneOf(SCOPES)), required=True, validate=validate.Length(1))
    days = fields.Integer(required=True)


class PasswordForm(Form):
    """The new one twice: nobody sees what they type, and nobody else can tell them what it was."""

    old_password = fields.String(required=True, validate=validate.Length(max=200))
    new_password = fields.String(
        required=True, validate=validate.And(validate.Length(PASSWORD_LENGTH_MIN), validate.Length(max=200))
    )
    new_again = fields.String(required=True)

    @validates_schema
    def refuse_different(self, given: dict[str, str], **_: object) -> None:
        if given["new_password"] != given["new_again"]:
            raise ValidationError("The two differ.", "new_again")


class LocaleForm(Form):
    locale = fields.String(load_default="", validate=validate.OneOf(("zh", "en")))
