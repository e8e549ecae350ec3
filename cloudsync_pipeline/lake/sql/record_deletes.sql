-- What goes with the files that a batch (`results`) deleted.

DELETE FROM desired_permissions WHERE path IN (SELECT path FROM results WHERE kind = 'delete' AND status = 'done');

DELETE FROM owed
WHERE aspect = 'permissions' AND path IN (SELECT path FROM results WHERE kind = 'delete' AND status = 'done');

DELETE FROM approvals WHERE path IN (SELECT path FROM results WHERE kind = 'delete' AND status = 'done');
