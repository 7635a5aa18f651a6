"""PostgreSQL refuses a second lane of an endpoint, which the key allows since it contains the period.

A trigger and no constraint: the index of a constraint would have the endpoint alone, and each new entry would again be
compared with those of all former versions of the row. Claims do not run it, because they insert no lane.
"""

from django.db import migrations

# The lock lets one insert run at a time; the next statement sees what another one has committed before.
CREATE = """
CREATE FUNCTION hooks_lane_is_first() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM hooks_endpoint WHERE id = NEW.endpoint_id FOR NO KEY UPDATE;
    IF EXISTS (SELECT FROM hooks_lane WHERE endpoint_id = NEW.endpoint_id) THEN
        RAISE unique_violation USING
            MESSAGE = format('endpoint %s has a lane, and may not have another one', NEW.endpoint_id),
            TABLE = 'hooks_lane', CONSTRAINT = 'hooks_lane_is_first';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER hooks_lane_is_first BEFORE INSERT ON hooks_lane FOR EACH ROW EXECUTE FUNCTION hooks_lane_is_first();
"""
DROP = "DROP TRIGGER hooks_lane_is_first ON hooks_lane; DROP FUNCTION hooks_lane_is_first();"


class Migration(migrations.Migration):
    dependencies = [("hooks", "0044_unchecked_numbers")]

    operations = [migrations.RunSQL(CREATE, DROP)]
