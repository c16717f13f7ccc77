-- Runs on data that ./stack restore brings back, before the application sees it.
-- A new epoch: a Redis that still counts in the epoch of the backup would go on from a later number.
UPDATE visitors SET epoch = DEFAULT;
