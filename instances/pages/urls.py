"""The front door and the pages of instances; `<int:number>` is the number that the wire contract uses too."""

from django.urls import include, path

from instances.views import changes, chats, history, listing, overview, pages, settings, webhook
from instances.views.invitations import invitation
from instances.views.media import media

instances = [
    path("", listing.instance_list, name="list"),
    path("new/", pages.new, name="new"),
    path("<int:number>/setup/", pages.setup, name="setup"),
    path("<int:number>/", overview.detail, name="detail"),
    path("<int:number>/status/", overview.status, name="status"),
    path("<int:number>/link/", changes.link, name="link"),
    path("<int:number>/press/<slug:button>/", changes.press, name="press"),
    path("<int:number>/history/", history.history, name="history"),
    path("<int:number>/history/news/", history.news, name="history-news"),
    path("<int:number>/settings/", settings.settings, name="settings"),
    path("<int:number>/name/", changes.rename, name="rename"),
    path("<int:number>/messages/", chats.messages, name="messages"),
    path("<int:number>/messages/list/", chats.chat_list, name="chat-list"),
    path("<int:number>/messages/<str:chat_id>/", chats.messages, name="chat"),
    path("<int:number>/messages/<str:chat_id>/news/", chats.news, name="chat-news"),
    path("<int:number>/messages/<str:chat_id>/reply/", chats.reply, name="chat-reply"),
    path("<int:number>/messages/<str:chat_id>/read/", chats.read, name="chat-read"),
    path("<int:number>/address/", webhook.save_address, name="address"),
    path("<int:number>/address/check/", webhook.check_address, name="address-check"),
    path("<int:number>/address/test/", webhook.try_address, name="address-test"),
    path("<int:number>/token/", changes.rotate_token, name="token"),
    path("<int:number>/secret/", changes.rotate_secret, name="secret"),
    path("<int:number>/secret/end/", changes.end_previous_secret, name="secret-end"),
    path("<int:number>/pause/", changes.pause, name="pause"),
    path("<int:number>/resume/", changes.resume, name="resume"),
    path("<int:number>/delete/", changes.delete, name="delete"),
]
urlpatterns = [
    path("", pages.home, name="home"),
    path("instances/", include((instances, "instances"))),
    path("invite/<slug:code>", invitation, name="invitation"),
    path("media/<str:key>/<str:name>", media, name="media"),
]
