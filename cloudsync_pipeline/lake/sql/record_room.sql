-- Paths that were refused because of a file that stood in their way (above, below, or spelled alike) are due again
-- when it has gone.

CREATE OR REPLACE TEMP TABLE room_for AS
SELECT w.path
FROM (SELECT path FROM owed
      WHERE aspect = 'content' AND next_try IS NOT NULL AND last_error_kind = 'PathRejected') w
SEMI JOIN (SELECT path FROM results WHERE gone OR (kind IN ('delete', 'move') AND status = 'done')) g
    ON g.path <> w.path
   AND (starts_with(w.path, g.path || '/') OR starts_with(g.path, w.path || '/') OR lower(w.path) = lower(g.path));

UPDATE owed SET next_try = NULL WHERE aspect = 'content' AND path IN (SELECT path FROM room_for);
