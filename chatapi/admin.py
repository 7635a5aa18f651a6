"""Django looks for an app's admin here; the support desk is in chatapi/staff/, one module per subject."""

from chatapi.staff import background, bins, delivery, instances, people, trail

__all__ = ["background", "bins", "delivery", "instances", "people", "trail"]
