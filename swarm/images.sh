# shellcheck shell=sh
# Images for every node. Sourced after lib.sh.

# Names an image after its content, so that another content is an update. Usage: named IMAGE
named() {
  _id=$(docker image inspect --format '{{.Id}}' "$1" | cut -d : -f 2 | cut -c 1-12)
  _named=${SWARM_REGISTRY:+$SWARM_REGISTRY/}$1:$_id
  docker tag "$1" "$_named"
  echo "$_named"
}

# Gives images to the nodes: by a registry if there is one. Usage: hand_out IMAGE...
hand_out() {
  if [ -n "$SWARM_REGISTRY" ]; then
    for _image; do docker push --quiet "$_image" > /dev/null || return 1; done
    for _at in $REACHED; do
      for _image; do at "$_at" pull --quiet "$_image" > /dev/null || return 1; done
    done
    return 0
  fi
  for _at in $REACHED; do
    _missing=''
    for _image; do at "$_at" image inspect "$_image" > /dev/null 2>&1 || _missing="$_missing $_image"; done
    # Names without spaces.
    # shellcheck disable=SC2086
    [ -z "$_missing" ] || docker save $_missing | at "$_at" load --quiet > /dev/null || return 1
  done
}

# Removes former images. Those that a container still has, as the one before an update, Docker refuses to remove. Usage: remove_former_images IMAGE...
remove_former_images() {
  # The first is this machine's own engine, which has built them, and where Compose knows the newest by `latest`.
  for _at in '' $REACHED; do
    for _image; do
      at "$_at" image ls --format '{{.Repository}}:{{.Tag}}' "${_image%:*}" | grep -vxF -e "$_image" -e "${_image%:*}:latest" |
        while read -r _former; do at "$_at" image rm "$_former" > /dev/null 2>&1 || true; done
    done
  done
}
