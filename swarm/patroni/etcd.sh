#!/bin/sh
# Runs etcd's member MEMBER of three. One that comes back with an empty volume takes its own place again.
set -eu
exec 2>&1

name=etcd-$MEMBER state=new others=''
for n in 1 2 3; do
  members="${members:-}${members:+,}etcd-$n=http://etcd-$n.store.internal:2380"
  [ "$n" = "$MEMBER" ] || others="$others${others:+,}http://etcd-$n.store.internal:2379"
done
# At a first start the others list this one too, without an address for clients.
if [ ! -d /var/lib/etcd/member ]; then
  former=$(etcdctl --endpoints "$others" --command-timeout 5s member list 2> /dev/null | grep ", $name, .*:2379" || true)
  if [ -n "$former" ]; then
    etcdctl --endpoints "$others" member remove "${former%%,*}"
    etcdctl --endpoints "$others" member add "$name" --peer-urls "http://$name.store.internal:2380"
    state=existing
  fi
fi
exec etcd --name "$name" --data-dir /var/lib/etcd --initial-cluster "$members" --initial-cluster-state $state \
  --listen-peer-urls http://0.0.0.0:2380 --initial-advertise-peer-urls "http://$name.store.internal:2380" \
  --listen-client-urls http://0.0.0.0:2379 --advertise-client-urls "http://$name.store.internal:2379" \
  --auto-compaction-retention 1h --logger zap --log-outputs stdout
