"""What can be wrong with a site: one list of checks (checklist.py), each with its sentence and its next step.

`manage.py doctor` runs all of them. Django's system checks are those of the settings and of the database
(chatapi/checks.py), /readyz runs those that a site needs to work (chatapi/monitoring/health.py), and the support desk's
health page those that take no time. So a problem has the same words wherever it is shown.
"""
