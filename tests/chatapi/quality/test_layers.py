"""The check of the layers of templates: nothing of ours breaks it, and it finds what it must."""

from chatapi.quality import layers


def test_no_template_uses_a_layer_above() -> None:
    found = layers.problems(layers.our_templates(), layers.layers_of_libraries(), layers.layers_of_urls())

    assert found == []


def test_url_names_have_the_layer_of_their_app() -> None:
    urls = layers.layers_of_urls()

    assert urls["testing:simulation"] == "testing_tools"
    assert urls["log:list"] == "instances"
    assert urls["accounts:account"] == "accounts"
    assert urls["account-export"] == "chatapi"


def test_uses_of_an_upper_layer_are_found() -> None:
    templates = {
        "accounts/account.html": '{% load ui bins %}{% url "log:list" %}{% include "instances/pages/steps.html" %}',
        "instances/pages/steps.html": '{% load ui %}{% comment %}{% url "admin:index" %}{% endcomment %}',
    }

    found = layers.problems(
        templates, {"bins": "testing_tools", "ui": "chatapi.ui"}, {"log:list": "instances"}
    )

    assert [line.split(" uses ")[1] for line in found] == [
        "load bins of testing_tools, a layer above",
        "template instances/pages/steps.html of instances, a layer above",
        "url log:list of instances, a layer above",
    ]


def test_an_exception_that_is_not_needed_is_found() -> None:
    assert layers.problems({}, {}, {}, {("a.html", "b"): "no reason"}) == [
        "a.html: b is allowed, but not used"
    ]
