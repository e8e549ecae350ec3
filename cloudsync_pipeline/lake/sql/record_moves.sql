-- Permissions that are asked for, and their debts, follow the moves of a batch (`results`). Moves of one stage are
-- independent, so a path is not both left and reached here. Where both paths have a wish, the later one counts.

CREATE OR REPLACE TEMP TABLE carried AS
SELECT r.new_path AS path, p.permissions, p.owner, p.group_name, p.since, p.event_identity
FROM desired_permissions p
JOIN results r ON r.path = p.path
LEFT JOIN desired_permissions there ON there.path = r.new_path
WHERE r.kind = 'move' AND r.status = 'done' AND (there.path IS NULL OR there.since <= p.since);

DELETE FROM desired_permissions
WHERE path IN (SELECT path FROM results WHERE kind = 'move' AND status = 'done')
   OR path IN (SELECT path FROM carried);

INSERT INTO desired_permissions (path, permissions, owner, group_name, since, event_identity)
SELECT path, permissions, owner, group_name, since, event_identity FROM carried;

CREATE OR REPLACE TEMP TABLE carried_debts AS
SELECT r.new_path AS path, w.since, w.touched_at, w.observed_at, w.reason, w.attempts, w.next_try, w.last_error,
       w.last_error_kind, w.quarantined_at
FROM owed w JOIN results r ON r.path = w.path
WHERE w.aspect = 'permissions' AND r.kind = 'move' AND r.status = 'done';

DELETE FROM owed
WHERE aspect = 'permissions'
  AND (path IN (SELECT path FROM results WHERE kind = 'move' AND status = 'done')
       OR path IN (SELECT path FROM carried_debts));

INSERT INTO owed (path, aspect, since, touched_at, observed_at, reason, attempts, next_try, last_error,
                  last_error_kind, quarantined_at)
SELECT path, 'permissions', since, touched_at, observed_at, reason, attempts, next_try, last_error,
       last_error_kind, quarantined_at
FROM carried_debts;
