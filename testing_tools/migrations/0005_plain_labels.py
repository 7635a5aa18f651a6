"""Rewords labels and verbose names. State only: no table is touched."""

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("testing_tools", "0004_runs_of_simulations"),
    ]

    operations = [
        migrations.AlterField(
            model_name="capture",
            name="answer_note",
            field=models.CharField(
                blank=True, default="", max_length=100, verbose_name="reason for the response"
            ),
        ),
        migrations.AlterField(
            model_name="capture",
            name="label",
            field=models.CharField(
                blank=True, default="", max_length=60, verbose_name="description in two or three words"
            ),
        ),
        migrations.AlterField(
            model_name="capture",
            name="note",
            field=models.CharField(blank=True, default="", max_length=500),
        ),
        migrations.AlterField(
            model_name="capture",
            name="status",
            field=models.PositiveSmallIntegerField(default=200, verbose_name="response status"),
        ),
        migrations.AlterField(
            model_name="capture",
            name="summary",
            field=models.CharField(
                blank=True, default="", max_length=200, verbose_name="content in one line"
            ),
        ),
        migrations.AlterField(
            model_name="simulationrun",
            name="next_at",
            field=models.DateTimeField(
                default=django.utils.timezone.now, verbose_name="when the next hook is due"
            ),
        ),
        migrations.AlterField(
            model_name="simulationrun",
            name="pause",
            field=models.FloatField(default=0, verbose_name="seconds between hooks"),
        ),
        migrations.AlterField(
            model_name="simulationstep",
            name="hook",
            field=models.UUIDField(blank=True, null=True, verbose_name="public id of the hook"),
        ),
    ]
