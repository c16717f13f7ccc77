-- Run once by the image's entrypoint, after init.sql: the application's own user, which may do what it does and no more.
-- For psql, since it reads the password from a file: it shows in no list of processes and in no log.
\set password `cat /run/secrets/web/password`

CREATE ROLE web LOGIN PASSWORD :'password';
GRANT SELECT, UPDATE (visitor_count, epoch, counting) ON visitors TO web;
GRANT SELECT, INSERT, DELETE ON resets TO web;
-- By default everybody may fill the disk with temporary tables.
REVOKE TEMPORARY ON DATABASE :"DBNAME" FROM PUBLIC;
