"""Attacks against the site, by class; docs/security.md says what is protected against whom.

test_object_access  ids of another account in path, query and body, by every verb and visitor
test_csrf           every form without a token and from another site; pages that change nothing when read
test_sessions       fixation, sign-out, password changes, cookies
test_xss            markup in every text field, then every page, parsed and rendered in Chromium
test_injection      SQL, headers, log lines, CSV formulas, mails, paths of files
test_fuzz           random queries, forms and JSON to every URL: never 500
test_ssrf           every place that takes a URL, by every spelling of an internal address
test_smuggling      requests that two parsers could read differently, direct and behind nginx, Caddy and HAProxy
test_bombs          small requests that expand: compressed, nested, repeated, huge numbers

The permission table (tests/chatapi/test_permissions.py) and the schemathesis runs of REST and the contract are not
repeated here.
"""
