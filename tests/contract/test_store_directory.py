"""The directory's port, on every database: who there is, kept apart by tenant."""

import anyio
import msgspec
import pytest

from gateway.core.errors import Conflict, InvalidRequest, NotFound
from gateway.stores.directory import Directory
from gateway.stores.directory_sql import SqlDirectory
from tests.contract.directory_records import MADE, key, service_account, team, tenant, user

NOUNS = ("teams", "users", "service_accounts", "keys")
INJECTIONS = (
    "'; DROP TABLE tenants; --",
    'x" OR "1"="1',
    "%' OR 1=1 /*",
    "$1 :name %(name)s {0} \\'",
    "Robert'); DELETE FROM users WHERE ('a'='a",
    "\\x27 UNION SELECT digest FROM virtual_keys",
)
NAMES = ("Ωmega 🚀", "日本語", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "a" * 200, "ß", "👩\u200d💻")


@pytest.fixture
def directory(database) -> Directory:
    return SqlDirectory(database)


FULL_KEY = key(
    "full",
    team="team_search",
    user="user_ada",
    role="admin",
    expires_at=2_000_000_000.25,
    models=("gpt-*", "claude-*"),
    tools=("search",),
    ips=("10.0.0.0/8",),
    origins=("https://app.example",),
    tags=(("project", "blau"), ("Ω", "é")),
    metadata={"ticket": "OPS-1", "note": "für Ada"},
)


async def test_a_default_tenant_is_there_from_the_beginning(directory):
    assert await directory.tenants.find("default", tenant=None) is not None
    with pytest.raises(Conflict):
        await directory.tenants.delete("default", tenant=None)


async def test_what_was_created_is_found_as_it_was(directory):
    await directory.tenants.create(tenant())
    await directory.teams.create(team())
    await directory.users.create(user(email="ada@example.org", subject="idp|1", role="owner", team="team_search"))
    await directory.service_accounts.create(service_account(team="team_search"))
    await directory.keys.create(FULL_KEY)

    assert await directory.tenants.find("acme", tenant=None) == tenant()
    assert await directory.teams.find("team_search", tenant="default") == team()
    assert await directory.users.find("user_ada", tenant="default") == user(
        email="ada@example.org", subject="idp|1", role="owner", team="team_search"
    )
    assert await directory.service_accounts.find("sa_robot", tenant="default") == service_account(team="team_search")
    assert await directory.keys.find("key_full", tenant="default") == FULL_KEY


async def test_update_changes_the_fields_named_and_no_other(directory):
    await directory.teams.create(team())
    await directory.users.create(user())
    await directory.keys.create(FULL_KEY)

    await directory.users.update("user_ada", {"role": "auditor", "email": "Ada@Example.org"}, tenant="default")
    await directory.users.update("user_ada", {"team": "team_search"}, tenant="default")
    changed = await directory.keys.update("key_full", {"models": ("qwen",), "expires_at": None}, tenant="default")

    assert await directory.users.find("user_ada", tenant=None) == user(
        role="auditor", email="ada@example.org", team="team_search"
    )
    assert changed == msgspec.structs.replace(FULL_KEY, models=("qwen",), expires_at=None)
    assert await directory.keys.find("key_full", tenant=None) == changed


async def test_two_changes_of_different_fields_at_once_both_stay(directory):
    await directory.keys.create(key())

    async with anyio.create_task_group() as tasks:
        for name, value in (("name", "new"), ("models", ("a",)), ("tools", ("b",)), ("metadata", {"c": "d"})):
            tasks.start_soon(
                lambda name=name, value=value: directory.keys.update("key_one", {name: value}, tenant=None)
            )

    found = await directory.keys.find("key_one", tenant=None)
    assert found == key(name="new", models=("a",), tools=("b",), metadata={"c": "d"}, id="key_one", digest=key().digest)


async def test_what_makes_an_object_itself_cannot_be_changed(directory):
    await directory.teams.create(team())
    await directory.users.create(user())
    await directory.keys.create(key())
    fixed = {
        ("users", "user_ada"): {"id": "user_eve", "tenant": "acme", "created_at": 5.0, "revision": 0},
        ("keys", "key_one"): {"digest": b"another", "revoked_at": None, "user": "user_ada", "revision": 0},
        ("teams", "team_search"): {"id": "team_x", "nonsense": "x"},
    }

    for (noun, record_id), fields in fixed.items():
        for field, value in fields.items():
            with pytest.raises(InvalidRequest) as refused:
                await getattr(directory, noun).update(record_id, {field: value}, tenant="default")

            assert refused.value.param == field


@pytest.mark.parametrize("noun", NOUNS)
async def test_an_object_of_another_tenant_is_as_good_as_none(directory, noun):
    """The errors are the same, word for word: nobody learns that there is one."""
    await directory.tenants.create(tenant())
    repository = getattr(directory, noun)
    theirs = await repository.create(MADE[noun](tenant="acme"))
    faults = []
    for act in (
        lambda record_id: repository.update(record_id, {"name": "mine"}, tenant="default"),
        lambda record_id: repository.delete(record_id, tenant="default"),
    ):
        for record_id in (theirs.id, "absent"):
            with pytest.raises(NotFound) as fault:
                await act(record_id)
            faults.append((fault.value.message, fault.value.param, fault.value.code))

    assert len(set(faults)) == 1
    assert await repository.find(theirs.id, tenant="default") is None
    assert (await repository.list(tenant="default")).items == ()
    assert (await repository.list(tenant="acme")).items == (theirs,)
    assert (await repository.list(tenant=None)).items == (theirs,)
    assert await repository.find(theirs.id, tenant="acme") == theirs


async def test_a_tenant_sees_only_itself(directory):
    await directory.tenants.create(tenant())

    assert await directory.tenants.find("default", tenant="acme") is None
    assert [found.id for found in (await directory.tenants.list(tenant="acme")).items] == ["acme"]
    with pytest.raises(NotFound):
        await directory.tenants.update("default", {"name": "taken over"}, tenant="acme")


async def test_keys_of_another_tenant_are_neither_revoked_nor_rotated(directory):
    await directory.tenants.create(tenant())
    theirs = await directory.keys.create(key(tenant="acme"))

    with pytest.raises(NotFound):
        await directory.keys.revoke(theirs.id, tenant="default", at=5.0)
    with pytest.raises(NotFound):
        await directory.keys.rotate(theirs.id, key("two"), tenant="default", overlap_ends_at=9.0)
    with pytest.raises(InvalidRequest):
        await directory.keys.rotate(theirs.id, key("two"), tenant=None, overlap_ends_at=9.0)

    assert await directory.keys.find("key_two", tenant=None) is None
    assert await directory.keys.find(theirs.id, tenant="acme") == theirs


async def test_nothing_refers_to_another_tenants_objects(directory):
    await directory.tenants.create(tenant())
    await directory.teams.create(team("theirs", tenant="acme"))
    await directory.users.create(user("theirs", tenant="acme"))
    await directory.service_accounts.create(service_account("theirs", tenant="acme"))

    for noun, field, value in (
        ("users", "team", "team_theirs"),
        ("service_accounts", "team", "team_theirs"),
        ("keys", "team", "team_theirs"),
        ("keys", "user", "user_theirs"),
        ("keys", "service_account", "sa_theirs"),
        ("keys", "user", "user_absent"),
        ("users", "tenant", "absent"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            await getattr(directory, noun).create(MADE[noun](**{field: value}))

        assert (refused.value.param, refused.value.status) == (field, 400)


async def test_a_member_is_not_moved_into_another_tenants_team(directory):
    await directory.tenants.create(tenant())
    await directory.teams.create(team("theirs", tenant="acme"))
    await directory.users.create(user())

    with pytest.raises(InvalidRequest):
        await directory.users.update("user_ada", {"team": "team_theirs"}, tenant="default")


@pytest.mark.parametrize(
    ("noun", "first", "second", "field"),
    [
        ("tenants", tenant("a"), tenant("b", name="a"), "name"),
        ("teams", team("a"), team("b", name="a"), "name"),
        ("users", user("a", email="x@example.org"), user("b", email="X@EXAMPLE.ORG"), "email"),
        ("users", user("a", subject="s"), user("b", subject="s"), "subject"),
        ("service_accounts", service_account("a"), service_account("b", name="a"), "name"),
        ("keys", key("a"), key("b", digest=key("a").digest), "digest"),
        ("keys", key("a"), key("b", id="key_a"), "id"),
        # Two ways to write one letter look the same to everybody.
        ("teams", team("a", name="caf\u00e9"), team("b", name="cafe\u0301"), "name"),
    ],
)
async def test_of_two_that_want_the_same_at_once_one_gets_it(directory, noun, first, second, field):
    repository, faults = getattr(directory, noun), []

    async def attempt(record) -> None:
        try:
            await repository.create(record)
        except Conflict as fault:
            faults.append(fault)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(attempt, first)
        tasks.start_soon(attempt, second)

    assert [(fault.status, fault.param) for fault in faults] == [(409, field)]
    assert "x@example.org" not in faults[0].message.lower()


async def test_a_name_taken_in_one_tenant_is_free_in_another(directory):
    await directory.tenants.create(tenant())
    await directory.teams.create(team())
    await directory.users.create(user(email="a@example.org"))

    await directory.teams.create(team(id="team_other", tenant="acme"))
    await directory.users.create(user(id="user_other", tenant="acme", email="a@example.org"))
    await directory.users.create(user("b"))
    await directory.users.create(user("c"))


async def test_text_stays_text(directory):
    for number, text in enumerate(INJECTIONS):
        await directory.users.create(user(f"u{number}", name=text, email=text, subject=text))
        await directory.keys.create(key(f"k{number}", name=text, metadata={text: text}, tags=((text, text),)))

        found = await directory.users.list(tenant="default", where={"name": text})
        kept = await directory.keys.list(tenant="default", where={"name": text})

        assert [(one.name, one.subject) for one in found.items] == [(text, text)]
        assert [(one.metadata, one.tags) for one in kept.items] == [({text: text}, ((text, text),))]
        assert await directory.users.find(text, tenant="default") is None
        assert await directory.users.find("user_u0", tenant=text) is None
        assert (await directory.users.list(tenant=text)).items == ()
    assert (await directory.tenants.list(tenant=None)).items[0].id == "default"


async def test_names_of_every_script_are_kept(directory):
    for number, name in enumerate(NAMES):
        await directory.teams.create(team(f"t{number}", name=name))

        assert [one.name for one in (await directory.teams.list(tenant="default", where={"name": name})).items] == [
            name
        ]


async def test_what_cannot_be_kept_is_not_kept(directory):
    for noun, fields in (("teams", {"name": "a\x00b"}), ("users", {"role": "root"}), ("keys", {"digest": b""})):
        with pytest.raises(InvalidRequest) as refused:
            await getattr(directory, noun).create(MADE[noun](**fields))

        assert (refused.value.status, [refused.value.param]) == (400, list(fields))
        assert (await getattr(directory, noun).list(tenant=None)).items == ()


async def test_looking_for_what_cannot_exist_finds_nothing(directory):
    for record_id in ("", "\x00", "\ud800", "a" * 10_000, "' OR ''='"):
        assert await directory.users.find(record_id, tenant="default") is None
        assert await directory.users.find("user_ada", tenant=record_id) is None
        with pytest.raises(NotFound):
            await directory.users.delete(record_id, tenant="default")
    with pytest.raises(InvalidRequest):
        await directory.users.list(tenant=None, where={"digest": "x"})


async def test_pages_hold_every_record_once_while_others_come_and_go(directory):
    made = [user(f"u{number:02}", created_at=float(number // 3)) for number in range(20)]
    for one in made:
        await directory.users.create(one)
    staying = {one.id for one in made if int(one.name[1:]) % 5}
    seen, after = [], ""

    for turn in range(20):
        page = await directory.users.list(tenant="default", after=after, limit=3)
        seen += [one.id for one in page.items]
        # The last of each page goes too: a page does not hang on a row that was shown before.
        going = {one.id for one in page.items if one.id not in staying} | ({f"user_new{turn - 1}"} if turn else set())
        for record_id in going:
            await directory.users.delete(record_id, tenant="default")
        await directory.users.create(user(f"new{turn}", created_at=0.5))
        after = page.next
        if not after:
            break

    assert [record_id for record_id in seen if record_id in staying] == sorted(staying)
    assert len(seen) == len(set(seen))


async def test_a_list_is_of_those_asked_for(directory):
    await directory.teams.create(team())
    await directory.users.create(user("a", team="team_search", email="a@example.org", subject="s"))
    await directory.users.create(user("b", role="admin"))
    await directory.keys.create(key("mine", user="user_a"))
    await directory.keys.create(key("other"))

    async def ids(noun: str, **where: str) -> list[str]:
        return [one.id for one in (await getattr(directory, noun).list(tenant="default", where=where)).items]

    assert await ids("users", team="team_search") == ["user_a"]
    assert await ids("users", email="A@example.org") == ["user_a"]
    assert await ids("users", subject="s", role="admin") == []
    assert await ids("keys", user="user_a") == ["key_mine"]


async def test_a_cursor_that_no_page_gave_is_refused(directory):
    for after in ("x", "!", "WzEsMl0", "WzEuMCwiXHUwMDAwIl0", "é", "A" * 5000):
        with pytest.raises(InvalidRequest) as refused:
            await directory.users.list(tenant="default", after=after)

        assert refused.value.param == "after"


async def test_what_is_in_use_is_not_deleted(directory):
    await directory.tenants.create(tenant())
    await directory.teams.create(team(tenant="acme"))
    await directory.users.create(user(tenant="acme", team="team_search"))

    with pytest.raises(Conflict):
        await directory.tenants.delete("acme", tenant=None)
    with pytest.raises(Conflict):
        await directory.teams.delete("team_search", tenant="acme")

    await directory.users.delete("user_ada", tenant="acme")
    await directory.teams.delete("team_search", tenant="acme")
    await directory.tenants.delete("acme", tenant=None)
    assert await directory.tenants.find("acme", tenant=None) is None
