# Makes the database of a member that has none: join.sh START...
# START is what starts a program as an enclave in this image; it may be nothing. This
# shell is the host's, and sees of the volume only cipher text: the service `volume` of
# this pod looks whether there is a database (exit code 0) or none (3). Where there is
# none, the service `gate` asks the other members before anything is made: a member
# without a database must not begin one beside those that have it. It says `found`, `join`
# or `seed` on the last line that it prints; the service `init` makes a database that begins
# as all of this session begin. After `seed`, that is filled before it counts: the service
# `seeding` runs it, out of reach of others, and `seed` copies into it what the member has
# that is written to. Both are enclaves, and speak TLS with each other.
# Run by sh -e. A run that was killed is cleared away by the next one.
look() {
  SCONE_CONFIG_ID=${SCONE_CONFIG_ID%/*}/volume-${POD_NAME} "$@" confidb-probe </dev/null
}

bed() {
  SCONE_CONFIG_ID=${SCONE_CONFIG_ID%/*}/seedbed-${POD_NAME} "$@" confidb-probe </dev/null
}

code=0
look "$@" || code=$?
[ "$code" != 0 ] || exit 0
[ "$code" = 3 ] || exit "$code"

stop() {
  kill -"$1" "$child" 2>/dev/null || :
  # One that was forked only just now has not heard it.
  sleep 1
  kill -"$1" "$child" 2>/dev/null || :
}

# The first process of a container gets only the signals that it wants.
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
trap - TERM INT
[ -z "$ending" ] || exit 1
[ "$code" = 0 ] || exit "$code"
word=
while read -r line; do word=$line; done </run/mysqld/gate
case $word in
found | join) ;;
seed)
  bed "$@"
  ;;
*)
  echo "the gate did not say that a database is to be made here" >&2
  exit 1
  ;;
esac
SCONE_CONFIG_ID=${SCONE_CONFIG_ID%/*}/init-${POD_NAME} "$@" mariadbd </dev/null
if [ "$word" = seed ]; then
  bed "$@"
  # Told to end, the copy ends, and with it the server.
  copier=
  trap 'ending=yes; [ -z "$copier" ] || kill -TERM "$copier" 2>/dev/null || :' TERM INT
  SCONE_CONFIG_ID=${SCONE_CONFIG_ID%/*}/seeding-${POD_NAME} "$@" mariadbd </dev/null &
  child=$!
  SCONE_CONFIG_ID=${SCONE_CONFIG_ID%/*}/seed-${POD_NAME} "$@" confidb-probe </dev/null &
  copier=$!
  [ -z "$ending" ] || kill -TERM "$copier" 2>/dev/null || :
  code=0
  wait "$copier" || code=$?
  while kill -0 "$copier" 2>/dev/null; do
    code=0
    wait "$copier" || code=$?
  done
  [ "$code" = 0 ] || stop KILL
  wait "$child" || [ "$code" != 0 ] || code=1
  while kill -0 "$child" 2>/dev/null; do
    wait "$child" || [ "$code" != 0 ] || code=1
  done
  trap - TERM INT
  [ "$code" = 0 ] || exit "$code"
fi
look "$@"
