# shellcheck shell=sh disable=SC2034
# What lies on the volume of the data, and in the archive; sourced by entrypoint.sh, archive.sh and restore.sh.

# The data in use of Postgres 18 is in 18/docker. ./stack restore and ./stack upgrade keep three directories beside it. Each step is one
# rename, so a crash leaves no step half done:
#   staged     data that is being prepared; worth nothing if that is cut off
#   next       prepared data: entrypoint.sh puts it in place of the data in use
#   former     the data that it replaced, until ./stack restore --confirm
VOLUME=/var/lib/postgresql
STAGED=$VOLUME/staged NEXT=$VOLUME/next FORMER=$VOLUME/former

# The major version of a server. Usage: major_version
major_version() { postgres --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/'; }

# The archive of a cluster. A new cluster begins to count its segments again. Usage: archive_of DIRECTORY
archive_of() { echo "${WAL_ARCHIVE:-/none}/$(pg_controldata "$1" | sed -n 's/^Database system identifier: *//p')"; }
