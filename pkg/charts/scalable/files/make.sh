# Makes the first database of a shard: make.sh START...
# START is what starts a program as an enclave in this image; it may be nothing. This
# shell is the host's, and sees of the volume only cipher text: the service `volume` of
# this pod looks whether there is a database (exit code 0) or none (3), and the service
# `init` makes one. What they do is in the session; a shell that calls them in another
# order, or not at all, gains nothing by it.
# Run by sh -e. A run that was killed is cleared away by the next one.
look() {
  SCONE_CONFIG_ID=${SCONE_CONFIG_ID%/*}/volume-${POD_NAME} "$@" confidb-probe </dev/null
}

code=0
look "$@" || code=$?
if [ "$code" = 3 ]; then
  SCONE_CONFIG_ID=${SCONE_CONFIG_ID%/*}/init-${POD_NAME} "$@" mariadbd </dev/null
  look "$@"
elif [ "$code" != 0 ]; then
  exit "$code"
fi
