"""One's own account: the password."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.world import PASSWORD, Someone, World

Client = Callable[[Someone], FlaskClient]

NEW = "four other words entirely"
FORM = {"old_password": PASSWORD, "new_password": NEW, "new_again": NEW}


def enter(app: Flask, someone: Someone, password: str) -> int:
    form = {"organisation": someone.organisation.code, "email": someone.member.email, "password": password}
    return app.test_client().post("/sign-in", data=form).status_code


@pytest.mark.parametrize(
    ("language", "asked", "told"),
    [
        ("en", "Change the password", "Your password is changed."),
        ("zh", "修改密码", "密码已修改"),
    ],
)
def test_one_changes_ones_password_and_stays_here_only(
    app: Flask, world: World, signed_in: Client, language: str, asked: str, told: str
) -> None:
    someone = world.agency("collector")
    here, elsewhere = signed_in(someone), signed_in(someone)
    here.set_cookie("language", language)
    assert asked in here.get("/account").text
    page = here.post("/account/password", data=FORM, follow_redirects=True)
    assert (page.status_code, told in page.text) == (200, True)
    assert elsewhere.get("/account").status_code == 302
    assert enter(app, someone, PASSWORD) == 401
    assert enter(app, someone, NEW) == 302


@pytest.mark.parametrize(
    ("wrong", "field", "english", "chinese"),
    [
        ({"old_password": "guess"}, "old_password", "This is not your password", "密码不正确"),
        ({"new_password": "short", "new_again": "short"}, "new_password", "This is too short.", "内容过短"),
        ({"new_again": "something else"}, "new_again", "The two differ.", "两次输入不一致"),
        ({"new_again": ""}, "new_again", "This field is required.", "必填"),
    ],
)
def test_a_wrong_form_says_so_beside_the_field_and_repeats_nothing(
    app: Flask, world: World, signed_in: Client, wrong: dict[str, str], field: str, english: str, chinese: str
) -> None:
    someone = world.lender()
    client = signed_in(someone)
    for language, sentence in (("en", english), ("zh", chinese)):
        client.set_cookie("language", language)
        page = client.post("/account/password", data=FORM | wrong)
        assert page.status_code == 422
        shown = page.text.split(f'id="{field}-error"')[1].split("</p>")[0]
        assert sentence in shown
        assert NEW not in page.text
    assert enter(app, someone, PASSWORD) == 302


def test_guessing_the_old_password_rests_the_account(app: Flask, world: World, signed_in: Client) -> None:
    someone = world.lender()
    client = signed_in(someone)
    for _ in range(5):
        assert client.post("/account/password", data=FORM | {"old_password": "guess"}).status_code == 422
    assert client.post("/account/password", data=FORM).status_code == 422
    assert enter(app, someone, PASSWORD) == 401


def test_a_program_changes_no_password(world: World, program: Client) -> None:
    answer = program(world.lender()).post("/account/password", data=FORM)
    assert answer.status_code == 403
