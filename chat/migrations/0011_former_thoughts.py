from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("chat", "0010_prompt_versions")]

    operations = [
        migrations.AddField(
            model_name="messageversion",
            name="reasoning",
            field=models.TextField(blank=True, db_default="", default="", verbose_name="thoughts"),
        ),
    ]
