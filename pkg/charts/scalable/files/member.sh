# Starts a database among others, and ends it so that they go on: member.sh START...
# START is what starts a program as an enclave in this image; it may be nothing. The
# service `gate` of this pod waits until it is clear how to start, and says it on the last
# line that it prints: `late`, the others go on without this one, which gives up what no
# other has (service `db`); or `cold`, all start, and nothing is given up (`cold`).
# While it runs, the service `watch` waits for word that the others go on without it, as it
# stalled or was cut off; then it is killed, which loses nothing, and starts anew.
# At the end the service `leave` has another one made the primary. If that is not done, the
# database is killed: one that ends in order while commits wait would acknowledge them.
# This shell is the host's. If it does otherwise, no secret is lost, and no server takes
# part that the others do not let in.
# Run by sh -e, as the first process of its container: it waits for programs where the
# arguments are those of this script, as signals come while it waits.
stop() {
  kill -"$1" "$child" 2>/dev/null || :
  # One that was forked only just now has not heard it.
  sleep 1
  kill -"$1" "$child" 2>/dev/null || :
}

leave() {
  ending=yes
  [ -n "$child" ] && [ -z "$how" ] || return 0
  how=KILL
  SCONE_CONFIG_ID=${SCONE_CONFIG_ID%/*}/leave-${POD_NAME} timeout -k 1 30 "$@" confidb-probe </dev/null &
  leaving=$!
  code=0
  wait "$leaving" || code=$?
  while kill -0 "$leaving" 2>/dev/null; do
    code=0
    wait "$leaving" || code=$?
  done
  if [ "$code" = 0 ]; then
    how=TERM
  else
    echo "no other one became the primary: the database is killed, and loses nothing" >&2
  fi
  stop "$how"
}

child=
ending=
trap 'ending=yes; [ -z "$child" ] || stop TERM' TERM INT
SCONE_CONFIG_ID=${SCONE_CONFIG_ID%/*}/gate-${POD_NAME} "$@" confidb-probe </dev/null >/run/mysqld/gate &
child=$!
[ -z "$ending" ] || stop TERM
code=0
wait "$child" || code=$?
while kill -0 "$child" 2>/dev/null; do
  code=0
  wait "$child" || code=$?
done
child=
how=
trap 'trap : TERM INT; leave "$@"' TERM INT
[ -z "$ending" ] || exit 0
[ "$code" = 0 ] || exit "$code"

word=
while read -r line; do word=$line; done </run/mysqld/gate
case $word in
late)
  SCONE_CONFIG_ID=${SCONE_CONFIG_ID%/*}/db-${POD_NAME} "$@" mariadbd </dev/null &
  ;;
cold)
  SCONE_CONFIG_ID=${SCONE_CONFIG_ID%/*}/cold-${POD_NAME} "$@" mariadbd </dev/null &
  ;;
*)
  echo "the gate did not say that a database starts here" >&2
  exit 1
  ;;
esac
child=$!
read -r self rest </proc/self/stat
trap 'echo "the others go on without this one: the database is killed, and loses nothing" >&2; stop KILL' USR1
(
  until SCONE_CONFIG_ID=${SCONE_CONFIG_ID%/*}/watch-${POD_NAME} "$@" confidb-probe </dev/null; do sleep 5; done
  kill -USR1 "$self"
) &
[ -z "$ending" ] || leave "$@"
code=0
wait "$child" || code=$?
while kill -0 "$child" 2>/dev/null; do
  code=0
  wait "$child" || code=$?
done
[ -z "$ending" ] || exit 0
exit "$code"
