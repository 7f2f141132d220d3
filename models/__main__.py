"""`python -m models set-up | operator | erase-again`: prepare the database, and bring in the first operator.

After a restore, `erase-again` erases in the restored database what was erased since the backup was taken.
"""

import argparse
import getpass
import os
import sys
from uuid import uuid4

from sqlalchemy.engine import make_url

from crypto.errors import CryptoError
from models import cluster
from models.custody import make_vault, open_custody, open_vault
from models.database import Database
from models.errors import Conflict, NotFound
from models.objects import open_store
from models.organisation import OPERATOR
from models.services.parties import members, organisations
from models.services.portfolio import erasure_records, erasures
from models.services.sealing import platform_keys
from models.settings import Settings
from models.work import JOBS, Actor


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m models", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    prepare = verbs.add_parser("set-up", help="roles, database, migrations, the platform's keys")
    prepare.add_argument(
        "--adopt-unsigned", action="store_true", help="sign the keys that were wrapped before wraps were signed"
    )
    operator = verbs.add_parser("operator", help="a first operator, who brings in everybody else")
    operator.add_argument("--email", required=True)
    operator.add_argument("--name", required=True)
    verbs.add_parser("erase-again", help="after a restore: carry out every erasure that the object store knows of")
    given = parser.parse_args()
    settings = Settings.from_environment()
    try:
        if given.verb == "erase-again":
            return erase_again(settings)
        if given.verb == "set-up":
            return set_up(settings, given.adopt_unsigned)
        return create_operator(settings, given.email, given.name)
    except CryptoError as refusal:
        print(refusal, file=sys.stderr)
        return 2


def set_up(settings: Settings, adopt_unsigned: bool) -> int:
    admin_url = os.environ.get("CONSIGN_ADMIN_URL")
    if settings.database_url and not admin_url:
        print("set CONSIGN_ADMIN_URL to a role that may create roles and databases", file=sys.stderr)
        return 2
    admin = make_url(admin_url) if admin_url else cluster.start_embedded(settings)
    database = make_url(settings.database_url).database if settings.database_url else cluster.DATABASE
    cluster.set_up(admin, database or cluster.DATABASE)
    own = Database(cluster.login_url(settings), make_vault(open_custody(settings)))
    signed = platform_keys.set_up(own, adopt_unsigned)
    print("ready: roles, database, migrations, keys" + (f"; {signed} wrapped keys signed" if signed else ""))
    return 0


def create_operator(settings: Settings, email: str, name: str) -> int:
    password = os.environ.get("CONSIGN_PASSWORD") or getpass.getpass("Password (12 characters or more): ")
    database = Database(cluster.login_url(settings), open_vault(settings))
    nobody = Actor(side=OPERATOR, org_id=uuid4(), name="set-up")
    with database.work(nobody) as work:
        made = organisations.create(work, OPERATOR, name)
        members.create(work, OPERATOR, made.id, email, name, ["operator"], password)
    print(f"sign in with organisation code {made.code}, {email} and the password")
    return 0


def erase_again(settings: Settings) -> int:
    """A line for each record; exit code 1 where one is not what its lender signed."""
    database, refused = Database(cluster.login_url(settings), open_vault(settings)), 0
    objects = open_store(settings.object_store)
    for name in erasure_records.list_stored(objects):
        try:
            with database.work(Actor(side=JOBS, org_id=name.lender_id, name="erase-again")) as work:
                print(f"{name.key()}: {erasures.repeat(work, objects, name)} cases erased again")
        except NotFound:
            print(f"{name.key()}: this database does not know the lender")
        except Conflict as refusal:
            refused += 1
            print(f"{name.key()}: {refusal.code}", file=sys.stderr)
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
