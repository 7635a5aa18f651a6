"""Django looks for an app's admin here; the staff desk is in chatapi/staff/, one file a subject."""

from chatapi.staff import background, bins, delivery, instances, people, trail

__all__ = ["background", "bins", "delivery", "instances", "people", "trail"]
