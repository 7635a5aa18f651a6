from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0008_addresses_in_a_labels")]

    operations = [
        migrations.AlterModelOptions(
            name="account",
            options={
                "permissions": [
                    ("block_account", "Can block and unblock accounts"),
                    ("look_at_account", "Can look at an account's pages, read-only"),
                    ("set_quota", "Can set an account's quotas"),
                ]
            },
        ),
        migrations.AddField(
            model_name="account",
            name="own_quotas",
            field=models.JSONField(blank=True, default=dict),
        ),
    ]
