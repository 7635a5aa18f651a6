"""The settings: several changes are collected, saved together and read back; the name, and the end of an instance."""

import html
import re

import pytest
from django.test import Client

from hooks.actions.endpoints import STRICT_OR_PARALLEL
from hooks.models import Endpoint
from instances import settings_table
from instances.actions.settings import change_settings, read_settings
from instances.models import Instance
from instances.pages.settings import advanced_settings
from instances.pages.settings.flag_texts import FLAGS
from instances.pages.settings.views import SWITCHES
from tests.matching import find_value

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
PAGE = "/instances/12345/settings/"
VALUE = r' value="([^"]*)"'


def form_of(page: str, card: str) -> dict[str, str]:
    """What a browser would send back untouched: `shown`, `was-…` and the controls of one card."""
    part = page[page.index(f'id="{card}"') :]
    part = part[: part.index("</form>")]
    data: dict = {"card": card, "shown": []}
    for tag in re.findall(r"<input[^>]*>", part):
        name = find_value(r' name="([^"]*)"', tag)
        if name == "shown":
            data["shown"].append(find_value(VALUE, tag))
        elif "checkbox" not in tag or " checked" in tag:
            data[name] = find_value(VALUE, tag)
    return data


def settings(instance):
    return read_settings(Instance.objects.get(pk=instance.pk))


def flags_form(client):
    return form_of(client.get("/instances/12345/").content.decode(), "flags")


def more_form(client):
    return form_of(client.get(PAGE).content.decode(), "more")


def test_several_flags_are_saved_together(alice, instance):
    data = flags_form(alice) | {"guaranteedHooks": "on", "videoUploadOn": "on"}
    del data["ackNotificationsOn"]
    card = alice.post(PAGE, data, headers=HTMX).content.decode()
    words = re.sub(r"<[^>]+>", "", card)
    assert "Saved." in words
    saved = settings(instance)
    assert (saved["ackNotificationsOn"], saved["videoUploadOn"], saved["guaranteedHooks"]) == (
        False,
        True,
        True,
    )
    assert saved["statusNotificationsOn"] is True


@pytest.mark.parametrize("flag", [flag.name for flag in FLAGS])
def test_each_flag_can_be_switched_on_and_off(alice, instance, flag):
    for value in (True, False):
        data = flags_form(alice)
        data.pop(flag, None)
        alice.post(PAGE, data | ({flag: "on"} if value else {}), headers=HTMX)
        assert settings(instance)[flag] is value


def test_strict_order_and_parallel_hooks_exclude_each_other(alice, instance):
    data = flags_form(alice) | {"parallelHooks": "on", "strictOrder": "on"}
    answer = alice.post(PAGE, data, headers=HTMX)
    assert answer.status_code == 422
    words = html.unescape(answer.content.decode())
    assert f"{STRICT_OR_PARALLEL} Nothing was changed." in words
    assert "for up to 65 h" in words
    assert (settings(instance)["parallelHooks"], settings(instance)["strictOrder"]) == (False, False)


def test_what_somebody_else_has_changed_meanwhile_is_not_undone(alice, instance):
    data = flags_form(alice) | {"guaranteedHooks": "on"}
    change_settings(instance, changes={"statusNotificationsOn": False})
    alice.post(PAGE, data, headers=HTMX)
    saved = settings(instance)
    assert (saved["statusNotificationsOn"], saved["guaranteedHooks"]) == (False, True)


def test_without_a_script_the_form_leads_back_and_says_what_was_saved(alice, instance):
    answer = alice.post(PAGE, flags_form(alice) | {"parallelHooks": "on"})
    assert answer.url == "/instances/12345/#flags"
    assert "Saved." in alice.get("/instances/12345/").content.decode()
    answer = alice.post(PAGE, more_form(alice))
    assert answer.url == f"{PAGE}#more"
    assert "Nothing to save: these values are already set." in alice.get(PAGE).content.decode()


def test_the_other_settings_are_saved_together(alice, instance):
    data = more_form(alice) | {
        "sendDelay": " 5 ",
        "instanceStatuses": "on",
        "proxy": "203.0.113.7:1080",
        "oldMessagesPeriod": "60",
    }
    alice.post(PAGE, data, headers=HTMX)
    saved = settings(instance)
    assert (saved["sendDelay"], saved["instanceStatuses"]) == (5, True)
    assert (saved["proxy"], saved["oldMessagesPeriod"]) == ("203.0.113.7:1080", 60)
    alice.post(PAGE, more_form(alice) | {"proxy": ""}, headers=HTMX)
    assert settings(instance)["proxy"] is None


def test_one_wrong_value_saves_none_and_loses_none(alice, instance):
    data = more_form(alice) | {"sendDelay": "soon", "processArchive": "on"}
    answer = alice.post(PAGE, data, headers=HTMX)
    card = answer.content.decode()
    assert answer.status_code == 422
    assert "`sendDelay` must be a whole number of seconds from 0 to 31536000. Nothing was changed." in card
    assert 'value="soon"' in card
    assert re.search(r'id="set-processArchive"[^>]* checked', card)
    assert re.search(r'id="set-sendDelay"[^>]*aria-invalid="true"', card)
    assert (settings(instance)["sendDelay"], settings(instance)["processArchive"]) == (0, False)


def test_a_setting_of_another_card_is_left_alone(alice, instance):
    alice.post(
        PAGE, {"card": "flags", "shown": ["webhookUrl", "nonsense"], "webhookUrl": "x", "nonsense": "x"}
    )
    assert Endpoint.objects.get(pk=instance.pk).url == "https://example.com/hook"


def test_every_setting_is_on_a_page():
    on_pages = (
        {flag.name for flag in FLAGS}
        | {setting.name for setting in advanced_settings.SETTINGS}
        | {"webhookUrl"}
    )
    assert on_pages == {setting.wire for setting in settings_table.ALL_SETTINGS}
    assert {name for name in on_pages if name not in SWITCHES} == {
        "webhookUrl", "sendDelay", "oldMessagesPeriod", "proxy",
    }  # fmt: skip


def test_renaming(alice, instance):
    assert alice.post("/instances/12345/name/", {"name": "Shop"}).url == PAGE
    instance.refresh_from_db()
    assert instance.name == "Shop"
    alice.post("/instances/12345/name/", {"name": "x" * 101})
    instance.refresh_from_db()
    assert instance.name == "Shop"


def test_deleting_needs_the_number_typed(alice, instance):
    card = alice.post("/instances/12345/delete/", {"number": "54321"}, headers=HTMX).content.decode()
    assert "Nothing was deleted: the number of this instance is 12345." in card
    assert Instance.objects.filter(pk=instance.pk).exists()
    answer = alice.post("/instances/12345/delete/", {"number": " 12345 "}, headers=HTMX)
    assert answer["HX-Redirect"] == "/instances/"
    assert not Instance.objects.filter(pk=instance.pk).exists()


def test_strangers_find_no_settings(bob):
    assert bob.get(PAGE).status_code == 404
    assert Client().get(PAGE).headers["Location"] == f"/accounts/login/?next={PAGE}"


def test_the_page_asks_at_most_so_many_queries(alice, django_assert_max_num_queries):
    with django_assert_max_num_queries(12):  # four are the first steps
        alice.get(PAGE)
