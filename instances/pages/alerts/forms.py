"""The form of the alert webhook's URL."""

from django import forms


class AlertUrlForm(forms.Form):
    """Requires a URL; the action checks it."""

    url = forms.CharField(
        label="URL",
        max_length=2000,
        error_messages={"required": "Enter the URL that is to get the alerts."},
        widget=forms.TextInput(
            attrs={
                "class": "form-control mono",
                "placeholder": "https://example.com/alerts",
                "inputmode": "url",
                "autocomplete": "off",
                "autocapitalize": "off",
                "spellcheck": "false",
            }
        ),
    )
