"""Adds the indexes of the support desk's search: the beginning of a webhook URL, and its host."""

from django.db import migrations, models
from django.db.models.functions import Collate, Left, Reverse

HOST = models.Func(
    models.F("url"),
    models.Value(r"^[a-z]+://(?:[^/?#@]*@)?(\[[^]]*\]|[^/?#:]+)"),
    function="substring",
    output_field=models.TextField(),
)


class Migration(migrations.Migration):
    dependencies = [
        ("hooks", "0014_hooks_with_a_url_of_their_own"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="endpoint",
            index=models.Index(Collate(Left("url", 250), "C"), name="hooks_endpoint_url"),
        ),
        migrations.AddIndex(
            model_name="endpoint",
            index=models.Index(Collate(Reverse(Left(HOST, 250)), "C"), name="hooks_endpoint_host"),
        ),
    ]
