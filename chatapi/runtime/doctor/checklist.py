"""The one list of checks, in the order of the report."""

from functools import partial

from django.core.checks import Tags

from chatapi.runtime.doctor import (
    database,
    files,
    machine,
    mail,
    messengers,
    other_urls,
    pass_through,
    settings_together,
    settings_values,
    site,
    upkeep,
    work,
)
from chatapi.runtime.doctor.findings import Area, Check

SETTINGS_TAG = "settings"
DATABASE_TAG = str(Tags.database)
DEPLOY_TAG = "deploy"  # only `manage.py check --deploy` and `manage.py doctor` ask it

of_settings = partial(Check, area=Area.SETTINGS, system_tag=SETTINGS_TAG)
of_files = partial(Check, area=Area.FILES)
of_machine = partial(Check, area=Area.MACHINE)
of_database = partial(Check, area=Area.DATABASE, needs_database=True)
of_work = partial(Check, area=Area.WORK, needs_database=True)
of_site = partial(Check, area=Area.SITE, is_on_page=False, seconds=15.0)
of_mail = partial(Check, area=Area.MAIL, is_on_page=False, seconds=15.0)

# Every other check of the database needs it.
CONNECTION = Check(
    "database-connection", "Connection to the database", Area.DATABASE, database.find_no_connection,
    is_readiness=True, is_on_page=False, seconds=8.0,
)  # fmt: skip
CHECKS = (
    of_settings("settings", "Values of the settings", find=settings_values.find_wrong_settings),
    of_settings("mail-settings", "A mail server", find=settings_together.find_missing_mail),
    of_settings("proxy-settings", "Trusted proxies", find=settings_together.find_unknown_proxy),
    of_settings("refused-networks", "Networks of bots", find=settings_together.find_refused_networks),
    of_settings("open-networks", "Private networks", find=settings_together.find_open_networks),
    of_settings("metadata-service", "Metadata service of the cloud", find=settings_together.find_metadata_service),
    of_settings("debug", "Error pages without code", find=settings_together.find_debug),
    of_settings("host-names", "Host names", find=settings_together.find_any_host, system_tag=DEPLOY_TAG),
    of_files("secret-files", "Secrets and their file modes", find=files.find_readable_secrets),
    of_files("data-folder", "Mode of DATA_DIR", find=files.find_writable_data),
    of_files("weak-keys", "Strength of the keys", find=files.find_weak_keys),
    of_files("certificates", "Trusted certificates", find=files.find_old_certificates),
    of_files("time-zones", "Time zone data", find=files.find_no_time_zones),
    of_files("static-files", "Static files", find=files.find_old_static_files),
    of_files("media", "Store of media", find=files.find_read_only_media, is_on_page=False, seconds=25.0),
    of_machine("disk-space", "Free disk space", find=machine.find_full_disk, is_readiness=True),
    of_machine("inodes", "Free inodes", find=machine.find_no_inodes),
    of_machine("temporary-files", "Space for temporary files", find=machine.find_full_temporary_folder),
    of_machine("open-files", "Limit of open files", find=machine.find_few_files, is_on_page=False),
    of_machine("old-processes", "Version of running processes", find=machine.find_outdated_processes, is_on_page=False),
    CONNECTION,
    of_database("database-version", "PostgreSQL's version", find=database.find_old_version, system_tag=DATABASE_TAG),
    of_database("encoding", "Encoding of the database", find=database.find_other_encoding, system_tag=DATABASE_TAG),
    of_database("database-rights", "Rights in the database", find=database.find_missing_rights,
                system_tag=DATABASE_TAG),
    of_database("advisory-locks", "Advisory locks and poolers", find=database.find_useless_locks,
                system_tag=DATABASE_TAG, is_on_page=False),
    of_database("pooler", "Pooler of web processes", find=other_urls.find_unusable_pooler, is_on_page=False,
                seconds=8.0),
    of_database("replica", "Replica of pages", find=other_urls.find_late_replica, seconds=8.0),
    of_database("migrations", "Migrations", find=database.find_unapplied_migrations, is_readiness=True),
    of_database("newer-database", "Code as new as the database", find=database.find_unknown_migrations),
    of_database("secrets-key", "Keys of the secrets", find=database.find_missing_keys, system_tag=DATABASE_TAG,
                is_readiness=True),
    of_database("clock", "Clock", find=database.find_wrong_clock),
    of_database("connections", "Free connections", find=upkeep.find_few_connections),
    of_database("safe-commits", "Commits that survive a power failure", find=upkeep.find_unsafe_commits),
    of_database("autovacuum", "Autovacuum", find=upkeep.find_vacuum_off),
    of_database("dead-rows", "Dead rows", find=upkeep.find_dead_rows),
    of_database("long-transactions", "Long idle transactions", find=upkeep.find_long_transactions),
    of_database("replication", "Replication", find=upkeep.find_replication_lag),
    of_database("retention", "Retention", find=upkeep.find_late_retention),
    of_database("partitions", "Partitions of coming days", find=upkeep.find_missing_partitions),
    of_work("dispatcher", "Dispatcher", find=work.find_no_dispatcher, is_readiness=True),
    of_work("dispatchers", "Number of dispatchers", find=work.find_few_dispatchers),
    of_work("sender", "Sender", find=work.find_no_sender),
    of_work("receiver", "Receiver", find=work.find_no_receiver),
    of_work("redelivery", "Redeliveries", find=work.find_no_redelivery),
    of_work("schedules", "Scheduled tasks", find=work.find_late_schedules),
    of_work("task-queue", "Queue of tasks", find=work.find_queued_tasks),
    of_work("failed-tasks", "Failed tasks", find=work.find_failed_tasks),
    of_work("late-hooks", "Waiting hooks", find=work.find_late_hooks),
    of_work("late-messages", "Waiting messages", find=work.find_late_messages),
    of_work("late-callbacks", "Waiting callbacks", find=work.find_late_callbacks),
    of_site("site-url", "SITE_URL leads to this site", find=site.find_unreachable_site),
    of_site("site-certificate", "Certificate of SITE_URL", find=site.find_expiring_certificate),
    of_site("proxy-host", "Host name through the proxy", find=site.find_lost_host),
    of_site("proxy-headers", "Forwarding headers of the proxy", find=site.find_wrong_forwarding),
    of_site("proxy-limit", "Longest upload through the proxy", find=pass_through.find_short_limit),
    of_site("proxy-url-limit", "Longest URL through the proxy", find=pass_through.find_short_url_limit),
    of_site("proxy-removed-headers", "Headers of clients through the proxy", find=pass_through.find_removed_headers),
    of_site("proxy-cache", "No cache in front", find=site.find_cache),
    of_mail("mail-server", "Sign-in at the mail server", find=mail.find_unusable_mail_server),
    of_mail("mail-sender", "Sender of mails", find=mail.find_unusual_sender),
    Check("messengers", "Servers of messengers", Area.MESSENGERS, messengers.find_unreachable_messengers,
          is_on_page=False, needs_database=True, seconds=10.0),
    Check("lost-links", "Links to messengers", Area.MESSENGERS, messengers.find_lost_links, needs_database=True),
)  # fmt: skip
# What /readyz asks, the database first. LASTING ones stay passed as long as a process runs.
READINESS = sorted(
    (check for check in CHECKS if check.is_readiness), key=lambda check: check is not CONNECTION
)
LASTING = {"migrations", "secrets-key"}
ON_PAGE = tuple(check for check in CHECKS if check.is_on_page)
BY_NAME = {check.name: check for check in CHECKS}
