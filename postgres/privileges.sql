-- What the application's role may do, after every run of migrate. By default it may read and write all rows of all tables
-- (roles.sql); the counter needs less. current_setting('stack.role') is the role's name.
DO $$ DECLARE role text := current_setting('stack.role'); BEGIN
  EXECUTE format('REVOKE ALL ON visitors, resets FROM %I', role);
  EXECUTE format('GRANT SELECT, UPDATE (visitor_count, epoch, counting) ON visitors TO %I', role);
  -- Not `at`: a reset that is dated 2099 would never be forgotten.
  EXECUTE format('GRANT SELECT, INSERT (id, sent_at), DELETE ON resets TO %I', role);
END $$;
