"""Somebody at a browser: they sign in through the page, and each page they look at is checked."""

import os
import re
from pathlib import Path

from babel.support import Translations
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    FloatRect,
    Locator,
    Page,
    Request,
    ViewportSize,
)

from tests.world import PASSWORD, Someone

ROOT = Path(__file__).parents[2]
LOOKS = (Path(__file__).parent / "looks.js").read_text()
ZH = Translations.load(ROOT / "portal" / "translations", ["zh"])
PHONE, DESK = ViewportSize(width=390, height=844), ViewportSize(width=1440, height=900)
WAIT_MS = 15_000
SHOT_HEIGHT_MAX = 3000


class Visitor:
    """A browser of their own: its cookies, its language, and what it complained about."""

    def __init__(self, browser: Browser, address: str, language: str) -> None:
        self.address, self.language = address, language
        self.complaints: list[str] = []
        locale = {"zh": "zh-CN", "en": "en-GB"}[language]
        self.context = browser.new_context(
            base_url=address, viewport=DESK, locale=locale, timezone_id="Asia/Shanghai", accept_downloads=True
        )
        self.context.set_default_timeout(WAIT_MS)
        self.page: Page = self.context.new_page()
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(f"script failed: {error}"))
        self.page.on("request", self._asked)

    def sign_in(self, someone: Someone) -> "Visitor":
        return self.sign_in_as(someone.organisation.code, someone.member.email, PASSWORD)

    def sign_in_as(self, code: str, email: str, password: str) -> "Visitor":
        """In the language they choose at the door."""
        self.go("/sign-in")
        self.leave_by(self.page.locator(f"button[name=language][value={self.language}]"))
        for name, value in (("organisation", code), ("email", email), ("password", password)):
            self.page.locator(f"[name={name}]").fill(value)
        self.press("Sign in")
        assert self.page.url == f"{self.address}/"
        return self

    def go(self, path: str) -> None:
        answer = self.page.goto(path)
        assert answer is not None
        assert answer.ok, f"{path} answers {answer.status}"

    def say(self, text: str) -> str:
        """A text of the product as this visitor reads it."""
        return str(ZH.gettext(text)) if self.language == "zh" else text

    def button(self, text: str) -> Locator:
        return self.page.get_by_role("button", name=self.say(text), exact=True)

    def link(self, text: str) -> Locator:
        return self.page.get_by_role("link", name=self.say(text), exact=True)

    def press(self, text: str) -> None:
        """A button that leads to another page."""
        self.leave_by(self.button(text))

    def follow(self, text: str) -> None:
        self.leave_by(self.link(text).first)

    def confirm(self) -> None:
        """Yes to the question that a button asks first."""
        self.leave_by(self.page.locator("dialog[open] [value=go]"))

    def leave_by(self, control: Locator) -> None:
        """Click, and wait for the page it leads to."""
        with self.page.expect_navigation():
            control.click()

    def choose_file(self, form: Locator, name: str, content: bytes) -> None:
        form.locator("input[type=file]").set_input_files({"name": name, "mimeType": "text/csv", "buffer": content})

    def download(self, link: Locator) -> bytes:
        with self.page.expect_download() as coming:
            link.click()
        return Path(coming.value.path()).read_bytes()

    def text(self) -> str:
        return re.sub(r"\s+", " ", self.page.locator("main").inner_text())

    def look(self, name: str) -> None:
        """The page as it stands keeps what every page promises, on a phone and at a desk."""
        faults = []
        for screen in (PHONE, DESK):
            self.page.set_viewport_size(screen)
            found = self.page.evaluate(LOOKS, self.language)
            faults += [f"{fault} ({screen['width']} px)" for fault in found]
            self._shoot(f"{name}-{self.language}-{screen['width']}")
        self.check(name, faults)

    def check(self, name: str, faults: list[str] | None = None) -> None:
        wrong = (faults or []) + self.complaints
        assert not wrong, f"{name}: " + "; ".join(dict.fromkeys(wrong))

    def close(self) -> None:
        self.context.close()

    def _heard(self, message: ConsoleMessage) -> None:
        """A breach of the content security policy is told on the console too."""
        if message.type in ("error", "warning"):
            self.complaints.append(f"console: {message.text}")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.complaints.append(f"asked elsewhere: {request.url}")

    def _shoot(self, name: str) -> None:
        """Only for people who want to look: CONSIGN_SHOTS names the folder."""
        folder = os.environ.get("CONSIGN_SHOTS")
        if not folder:
            return
        width, height = self.page.evaluate("[innerWidth, document.documentElement.scrollHeight]")
        clip = FloatRect(x=0, y=0, width=width, height=min(height, SHOT_HEIGHT_MAX))
        self.page.screenshot(path=Path(folder) / f"{name}.png", clip=clip, full_page=True)
