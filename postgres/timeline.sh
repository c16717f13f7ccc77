# shellcheck shell=sh
# Which line of the archive's history a base backup belongs to; sourced by restore.sh. Each restore begins a new timeline, and leaves behind
# what came after its moment: https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-TIMELINES

# A position in the WAL as a number. Usage: position HIGH/LOW
position() { echo $(((0x${1%/*} << 32) + 0x${1#*/})); }
# A timeline as in names of files. Usage: digits TIMELINE
digits() { printf '%08X' "$1"; }

# Of each timeline that came before this one: its number, where it was left, and why. Usage: past ARCHIVE TIMELINE
past() { gzip -dc "$1/$(digits "$2").history.gz" | grep '^[0-9]'; }

# The newest timeline of an archive; 1 if there was no restore. Usage: newest ARCHIVE
newest() {
  _newest=1
  for _file in "$1"/*.history.gz; do
    [ ! -e "$_file" ] || _newest=$((0x$(basename "$_file" .history.gz)))
  done
  echo $_newest
}

# The newest timeline that goes on from a backup; the backup's own if none does. Usage: timeline_of ARCHIVE BACKUP
timeline_of() {
  _own=$(sed -n 's/.*"Timeline": \([0-9]*\).*/\1/p' "$2/backup_manifest" | tail -n 1)
  _end=$(position "$(sed -n 's/.*"End-LSN": "\([^"]*\)".*/\1/p' "$2/backup_manifest" | tail -n 1)")
  _candidate=$(newest "$1")
  while [ "$_candidate" -gt "$_own" ]; do
    _descends=no
    # The candidate descends from the backup if no timeline on the way was left before the backup's end.
    while read -r _line _left _; do
      [ "$_line" != "$_own" ] || _descends=yes
      [ "$(position "$_left")" -ge "$_end" ] || [ $_descends = no ] || _descends=left
    done << END
$([ ! -e "$1/$(digits "$_candidate").history.gz" ] || past "$1" "$_candidate")
END
    [ $_descends != yes ] || break
    _candidate=$((_candidate - 1))
  done
  # An archive that began later has no history of the timelines before.
  [ "$_candidate" -gt "$_own" ] || _candidate=$_own
  echo "$_candidate"
}

# Was a moment left behind on the way to this timeline? Then says by which restore. Usage: left_behind ARCHIVE TIMELINE TIME
left_behind() {
  [ -e "$1/$(digits "$2").history.gz" ] || return 0
  { past "$1" "$2" && echo "$2"; } | while read -r _line _left _why _day _time _; do
    # The file of a timeline is as old as the restore that began it.
    [ -z "${_from:-}" ] || {
      _until=$(date -u -r "$1/$(digits "$_line").history.gz" +%Y-%m-%dT%H:%M:%S)
      [ "$(printf '%s\n' "$_from" "$3" "$_until" | sort | sed -n 2p)" != "$3" ] || echo "$_until"
    }
    _from=''
    [ "$_why" != before ] || _from=${_day}T${_time%+*}
  done
}

# The last segment that recovery applied, if the archive has later ones. Usage: hole ARCHIVE TIMELINE LAST_POSITION
hole() {
  _segment=$(digits "$2")$(printf '%08X%08X' $((0x${3%/*})) $((0x${3#*/} >> 24)))
  _last=$(find "$1" -name "$(digits "$2")????????????????.gz" 2> /dev/null | sed 's,.*/,,; s,\.gz$,,' | sort | tail -n 1)
  [ "$(printf '%s\n' "$_segment" "$_last" | sort | tail -n 1)" = "$_segment" ] || echo "$_segment"
}
