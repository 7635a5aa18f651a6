"""Names the fields of a URL override. The table does not change: the columns keep their names."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("hooks", "0009_drop_redundant_indexes"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                # RenameField does not rename the fields in a constraint's condition.
                migrations.RemoveConstraint(model_name="endpoint", name="hooks_endpoint_borrowed_whole"),
                migrations.RenameField("endpoint", "borrowed_url", "override_url"),
                migrations.RenameField("endpoint", "borrowed_until", "override_until"),
                migrations.RenameField("endpoint", "borrowed_forwards", "override_also_sends_to_own"),
                migrations.AlterField(
                    model_name="endpoint",
                    name="override_url",
                    field=models.CharField(blank=True, db_column="borrowed_url", default="", max_length=2000),
                ),
                migrations.AlterField(
                    model_name="endpoint",
                    name="override_until",
                    field=models.DateTimeField(blank=True, db_column="borrowed_until", null=True),
                ),
                migrations.AlterField(
                    model_name="endpoint",
                    name="override_also_sends_to_own",
                    field=models.BooleanField(db_column="borrowed_forwards", db_default=False, default=False),
                ),
                migrations.AddConstraint(
                    model_name="endpoint",
                    constraint=models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("override_until", None), ("override_url", "")),
                            models.Q(
                                models.Q(("override_url", ""), _negated=True),
                                ("override_until__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="hooks_endpoint_borrowed_whole",
                    ),
                ),
            ],
        ),
    ]
