"""`python -m models set-up | operator`: prepare the database, and bring in the first operator."""

import argparse
import getpass
import os
import sys
from uuid import uuid4

from sqlalchemy.engine import make_url

from crypto.custody import PLATFORM, LocalKeyring
from crypto.vault import Vault
from models import cluster
from models.database import Database
from models.organisation import OPERATOR
from models.services import members, organisations
from models.settings import Settings
from models.work import Actor


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m models", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("set-up", help="roles, database, migrations, the platform's keys")
    operator = verbs.add_parser("operator", help="a first operator, who brings in everybody else")
    operator.add_argument("--email", required=True)
    operator.add_argument("--name", required=True)
    given = parser.parse_args()
    settings = Settings.from_environment()
    return set_up(settings) if given.verb == "set-up" else create_operator(settings, given.email, given.name)


def set_up(settings: Settings) -> int:
    admin_url = os.environ.get("CONSIGN_ADMIN_URL")
    if settings.database_url and not admin_url:
        print("set CONSIGN_ADMIN_URL to a role that may create roles and databases", file=sys.stderr)
        return 2
    admin = make_url(admin_url) if admin_url else cluster.start_embedded(settings)
    database = make_url(settings.database_url).database if settings.database_url else cluster.DATABASE
    cluster.set_up(admin, database or cluster.DATABASE)
    LocalKeyring(settings.keyring).create(PLATFORM)
    print("ready: roles, database, migrations, keyring")
    return 0


def create_operator(settings: Settings, email: str, name: str) -> int:
    password = os.environ.get("CONSIGN_PASSWORD") or getpass.getpass("Password (12 characters or more): ")
    database = Database(cluster.login_url(settings), Vault(LocalKeyring(settings.keyring)))
    nobody = Actor(side=OPERATOR, org_id=uuid4(), name="set-up")
    with database.work(nobody) as work:
        made = organisations.create(work, OPERATOR, name)
        members.create(work, OPERATOR, made.id, email, name, ["operator"], password)
    print(f"sign in with organisation code {made.code}, {email} and the password")
    return 0


if __name__ == "__main__":
    sys.exit(main())
