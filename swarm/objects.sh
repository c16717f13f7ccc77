# shellcheck shell=sh
# Secrets of the Swarm, which cannot be changed: another content is another name. Sourced after lib.sh.

# The hash of a content, as a part of a name. Usage: hash < CONTENT
hash() { sha256sum | cut -c 1-12; }
# The full names of all versions of a secret, the newest first. Usage: versions SECRET
versions() {
  swarm secret ls --filter "name=${PROJECT}_$1-" --format '{{.ID}} {{.Name}}' | while read -r _id _name; do
    printf '%s %s\n' "$(swarm secret inspect --format '{{.CreatedAt.UTC.Format "20060102150405.000000000"}}' "$_id")" "$_name"
  done | sort -r | cut -d ' ' -f 2
}

# The name of a secret with this content. Usage: secret SECRET < CONTENT
secret() {
  cat > "$TMP/content"
  _name=${PROJECT}_$1-$(hash < "$TMP/content")
  swarm secret inspect "$_name" > /dev/null 2>&1 || swarm secret create "$_name" "$TMP/content" > /dev/null
  rm "$TMP/content"
  echo "$_name"
}

# The name of a password that nobody needs to know. Usage: password SECRET
password() {
  _held=$(versions "$1" | head -n 1)
  [ -z "$_held" ] || { echo "$_held" && return; }
  head -c 24 /dev/urandom | base64 | tr '+/' '-_' | secret "$1"
}

# The same, of the file that a setting names. Usage: secret_of SETTING SECRET FILE
secret_of() {
  { [ -f "$3" ] && [ -s "$3" ]; } || die "$1 names '$3', which is no file that holds something: write the value into it."
  secret "$2" < "$3"
}

# Removes what no service uses any more: Swarm refuses to remove the others.
remove_former_secrets() {
  swarm secret ls --filter "name=${PROJECT}_" --quiet | while read -r _id; do swarm secret rm "$_id" > /dev/null 2>&1 || true; done
}
