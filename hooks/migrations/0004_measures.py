"""What dispatchers count, kept over restarts; and the trigger that keeps the counts of deleted instances."""

from django.db import migrations, models

# Totals only grow, also when an instance goes and its tally with it, by whatever way: 1001 is a slot of its own.
KEEP = """
CREATE FUNCTION hooks_tally_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO hooks_measure (slot, name, label, value)
    VALUES (1001, 'emitted', '', OLD.emitted), (1001, 'finished', 'cancelled', OLD.cancelled),
        (1001, 'finished', 'skipped', OLD.skipped)
    ON CONFLICT (slot, name, label) DO UPDATE SET value = hooks_measure.value + excluded.value;
    RETURN NULL;
END $$;
CREATE TRIGGER hooks_tally_keep AFTER DELETE ON hooks_tally FOR EACH ROW EXECUTE FUNCTION hooks_tally_keep();
"""
FORGET = "DROP TRIGGER hooks_tally_keep ON hooks_tally; DROP FUNCTION hooks_tally_keep();"


class Migration(migrations.Migration):
    dependencies = [
        ("hooks", "0003_database_care"),
    ]

    operations = [
        migrations.AddField(
            model_name="runner",
            name="in_flight",
            field=models.PositiveIntegerField(db_default=0, default=0, verbose_name="requests under way"),
        ),
        migrations.AddField(
            model_name="tally",
            name="cancelled",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="tally",
            name="skipped",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.CreateModel(
            name="Measure",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("slot", models.PositiveSmallIntegerField()),
                ("name", models.CharField(max_length=40)),
                ("label", models.CharField(blank=True, max_length=20)),
                ("value", models.FloatField(default=0)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("slot", "name", "label"), name="hooks_measure_series")
                ],
            },
        ),
        migrations.RunSQL(KEEP, FORGET),
        migrations.RunSQL(
            "ALTER TABLE hooks_measure SET (fillfactor = 20)", "ALTER TABLE hooks_measure RESET (fillfactor)"
        ),
    ]
