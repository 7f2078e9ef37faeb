"""Each client's bucket, attacked with everybody else's keys and with none: only its owner's succeed."""

from __future__ import annotations

import itertools

import pytest

from core.settings import Bucket
from tests.attacks.storage.owners import DEEDS, HTTP, KEY, OWNERS, SECRET, Thief, connected, is_refused

pytestmark = [pytest.mark.attack, pytest.mark.integration]

Buckets = dict[str, Bucket]
UPS = ("../", "..%2f", "%2e%2e/", "%2e%2e%2f", "%252e%252e%252f", "..%5c", "./../", "x/../../", "//", "%00/../")


@pytest.fixture(autouse=True)
def secrets(buckets: Buckets) -> None:
    """An object in each bucket."""
    for bucket in buckets.values():
        for key in (KEY, f"{KEY}.old"):
            connected(bucket).put_object(Bucket=bucket.bucket, Key=key, Body=SECRET)


def thief_of(buckets: Buckets, thief: str, owner: str, *, anonymous: bool = False) -> Thief:
    """The keys of one at the door of another."""
    keys, target = buckets[thief], buckets[owner]
    door = keys.model_copy(update={"endpoint": target.endpoint, "bucket": target.bucket})
    return Thief(keys, target, connected(door, anonymous=anonymous))


@pytest.mark.parametrize("owner", OWNERS)
def test_an_owner_may_do_it_all(buckets: Buckets, owner: str) -> None:
    # The oracle for all below: with the right keys, each of the deeds works.
    for deed in DEEDS.values():
        deed(thief_of(buckets, owner, owner))


@pytest.mark.parametrize(("thief", "owner"), [*itertools.permutations(OWNERS, 2)])
def test_the_keys_of_one_do_nothing_to_another(buckets: Buckets, thief: str, owner: str) -> None:
    at_the_door = thief_of(buckets, thief, owner)
    assert [name for name, deed in DEEDS.items() if not is_refused(deed, at_the_door)] == []
    assert unharmed(buckets[owner])


@pytest.mark.parametrize("owner", OWNERS)
def test_without_keys_nobody_does_anything(buckets: Buckets, owner: str) -> None:
    nobody = thief_of(buckets, owner, owner, anonymous=True)
    deeds = {name: deed for name, deed in DEEDS.items() if not name.startswith("presigned")}
    assert [name for name, deed in deeds.items() if not is_refused(deed, nobody)] == []
    bucket = buckets[owner]
    for method, path in itertools.product(("GET", "HEAD", "PUT", "DELETE", "POST"), ("", f"/{KEY}")):
        answer = HTTP.request(method, f"{bucket.endpoint}/{bucket.bucket}{path}")
        assert answer.status_code in (401, 403), (method, path)
    assert unharmed(bucket)


@pytest.mark.parametrize(("thief", "owner"), [*itertools.permutations(OWNERS, 2)])
def test_ones_own_door_leads_into_no_other_bucket(buckets: Buckets, thief: str, owner: str) -> None:
    """A thief's own keys are right at its own door: paths and copies must not lead from there to somebody else's."""
    own, other = thief_of(buckets, thief, thief), buckets[owner]
    mine = own.bucket
    for up, times in itertools.product(UPS, (1, 2)):
        for place in (other.bucket, f"client-{owner}/{other.bucket}"):
            for start in (f"/{mine}/", "/"):
                answer = own.raw("GET", f"{start}{up * times}{place}/{KEY}")
                assert answer.status_code >= 400, (start, up, times, place)
                assert SECRET not in answer.content
    for source in (
        f"/{other.bucket}/{KEY}",
        f"/{mine}/../{other.bucket}/{KEY}",
        f"/{mine}/../../{other.bucket}/{other.bucket}/{KEY}",
        f"/../client-{owner}/{other.bucket}/{KEY}",
    ):
        answer = own.raw("PUT", f"/{mine}/stolen", **{"x-amz-copy-source": source})
        assert answer.status_code >= 400, source
    listed = {bucket["Name"] for bucket in own.s3.list_buckets()["Buckets"]}
    assert other.bucket not in listed
    assert unharmed(other)


def test_a_link_opens_one_object_for_one_verb(buckets: Buckets) -> None:
    owner = thief_of(buckets, OWNERS[0], OWNERS[0])
    url = owner.s3.generate_presigned_url("get_object", {"Bucket": owner.bucket, "Key": KEY}, ExpiresIn=300)
    assert HTTP.get(url).content == SECRET
    for changed in (
        url.replace(KEY, f"{KEY}.old"),
        url.replace(f"{owner.bucket}/{KEY}", f"{owner.bucket}/"),
        url.replace("X-Amz-Expires=300", "X-Amz-Expires=604800"),
        url.replace("X-Amz-Signature=", "X-Amz-Signature=0"),
        url.partition("?")[0],
    ):
        assert changed != url
        assert HTTP.get(changed).status_code in (400, 401, 403), changed
    for method in ("PUT", "DELETE", "POST"):
        assert HTTP.request(method, url, content=b"x").status_code in (401, 403, 405)
    assert unharmed(buckets[OWNERS[0]])


def unharmed(bucket: Bucket) -> bool:
    """Whether its secret is there as it was, and nothing of a thief's."""
    s3 = connected(bucket)
    keys = {entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket.bucket)["Contents"]}
    return s3.get_object(Bucket=bucket.bucket, Key=KEY)["Body"].read() == SECRET and "stolen" not in keys
