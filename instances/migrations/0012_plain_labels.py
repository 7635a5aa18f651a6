"""Rewords labels and verbose names. State only: no table is touched."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("instances", "0011_remove_instance_load_test"),
    ]

    operations = [
        migrations.AlterField(
            model_name="chat",
            name="left_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="when the account left the group"),
        ),
        migrations.AlterField(
            model_name="chat",
            name="removed_at",
            field=models.DateTimeField(
                blank=True, null=True, verbose_name="removed from the list until the next message"
            ),
        ),
        migrations.AlterField(
            model_name="chat",
            name="unread",
            field=models.PositiveIntegerField(default=0, verbose_name="unread incoming messages"),
        ),
        migrations.AlterField(
            model_name="sandboxcontact",
            name="missed_until",
            field=models.DateTimeField(
                blank=True, null=True, verbose_name="messages sent before this are never delivered"
            ),
        ),
        migrations.AlterField(
            model_name="sandboxcontact",
            name="online",
            field=models.BooleanField(default=True, verbose_name="receives messages"),
        ),
        migrations.AlterField(
            model_name="sandboxreceipt",
            name="chat_id",
            field=models.CharField(max_length=100, verbose_name="chat id of the contact"),
        ),
    ]
