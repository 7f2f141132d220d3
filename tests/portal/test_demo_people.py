"""The table of people that the demonstration prints and keeps."""

from urllib3 import HTTPConnectionPool

from portal.demo.__main__ import sign_in_of
from portal.demo.client import Client, Person
from portal.demo.story import Told


def test_the_table_of_people_names_every_role_of_each() -> None:
    client = Client(HTTPConnectionPool("127.0.0.1"))
    first = Person("恒信", "L-1", ["portfolio_manager", "administrator"], "first@lender.example", client, "1")
    table = sign_in_of(Told(people=[first]), "a password")
    assert "portfolio_manager, administrator  " in table
    assert table.endswith("password of all: a password\n")
