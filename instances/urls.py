"""The front door and the pages of instances; `<int:number>` is the number that the wire contract uses too."""

from django.urls import include, path

from instances.views import changes, pages
from instances.views.invitations import invitation
from instances.views.media import media

instances = [
    path("", pages.instance_list, name="list"),
    path("new/", pages.new, name="new"),
    path("<int:number>/", pages.detail, name="detail"),
    path("<int:number>/status/", pages.status, name="status"),
    path("<int:number>/link/", changes.link, name="link"),
    path("<int:number>/log-out/", changes.log_out, name="log-out"),
    path("<int:number>/name/", changes.rename, name="rename"),
    path("<int:number>/address/", changes.save_address, name="address"),
    path("<int:number>/flags/", changes.switch_flag, name="flags"),
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
