# Makes the first data directory: init.sh VOLUME PROGRAM...
# PROGRAM is mariadbd as an enclave. Its session gives it the folder VOLUME/new
# and the SQL, and ends it: nothing that the host says here reaches the database.
# Run by sh -e. A run that was killed leaves VOLUME/new at most, and the next one
# starts over. VOLUME/data appears whole, by one rename.
volume=$1
shift

if [ -e "$volume/data" ]; then
  echo "init: $volume/data is there, nothing to do"
  exit 0
fi

rm -rf "$volume/new"
mkdir "$volume/new"
"$@" </dev/null

# The program may have ended well without having made anything.
if [ ! -e "$volume/new/mysql" ]; then
  echo "init: $volume/new holds no system tables: was it the service init of the session?" >&2
  exit 1
fi

sync
mv "$volume/new" "$volume/data"
sync
echo "init: made $volume/data"
