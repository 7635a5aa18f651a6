"""`/channels/<channel>/<secret>`: the callback URL of each linked instance."""

from django.urls import path

from instances.callbacks.views import callback

app_name = "channels"
urlpatterns = [path("channels/<slug:channel>/<slug:secret>", callback, name="callback")]
