"""The operator brings somebody in, who signs in; and a program's token lives until it is revoked."""

from collections.abc import Callable
from uuid import uuid4

from playwright.sync_api import expect

from tests.browser.visitor import Visitor
from tests.world import Someone, World


def test_whoever_the_operator_brings_in_can_sign_in(
    world: World, visit: Callable[[Someone], Visitor], stranger: Callable[[], Visitor]
) -> None:
    visitor = visit(world.organisation("operator", "operator", "Consign"))
    page = visitor.page
    visitor.look("overview-operator")
    visitor.go("/organisations")
    visitor.look("organisations")
    visitor.follow("Bring in an organisation")
    visitor.look("organisation-new")
    email = f"{uuid4().hex[:8]}@example.com"
    page.locator("[name=name]").fill("恒信消费金融")
    page.locator("[name=kind]").select_option("lender")
    page.locator("[name=person]").fill("王敏")
    page.locator("[name=email]").fill(email)
    page.locator("[name=locale]").select_option(visitor.language)
    page.locator("[name=roles][value=administrator]").check()
    visitor.press("Bring in")
    expect(page.get_by_role("heading", level=1)).to_have_text("恒信消费金融")
    code, shown, password = page.locator("dd code").all_inner_texts()
    assert shown == email
    visitor.look("organisation-created")

    newcomer = stranger()
    newcomer.go("/sign-in")
    newcomer.look("sign-in")
    newcomer.sign_in_as(code, email, password)
    newcomer.look("overview-first")


def test_a_token_works_until_it_is_revoked(world: World, visit: Callable[[Someone], Visitor], address: str) -> None:
    visitor = visit(world.organisation("lender", "portfolio_manager", "恒信消费金融"))
    page = visitor.page
    visitor.go("/account")
    visitor.look("account")
    page.locator("form[action$=tokens] [name=name]").fill("夜间对账程序")
    page.locator("[name=scopes][value=read]").check()
    visitor.press("Make a token")
    secret = page.locator("dd code").first.inner_text()
    visitor.look("token-made")
    program = {"Authorization": f"Bearer {secret}"}
    assert page.request.get(f"{address}/api/v1/portfolios", headers=program).status == 200

    visitor.follow("Done")
    visitor.button("Revoke").click()
    visitor.confirm()
    expect(page.locator(".notice-good")).to_be_visible()
    visitor.look("token-revoked")
    stranger = page.context.browser.new_context()  # type: ignore[union-attr]
    assert stranger.request.get(f"{address}/api/v1/portfolios", headers=program).status == 401
    stranger.close()
