# Has the database run its init file to the end? Run by sh; this shell is the host's.
# The port is open before the init file begins (measured, 10.11), so that it is open says
# nothing. The server greets only after the file, and never if the file told it to end.
# If the file stopped without telling, it still says what the session's configuration
# makes it say until the last statement: autocommit = OFF, a bit of the greeting
# (protocol::handshake v10: 4 bytes, version 10, text up to 0, 16 bytes and 1, status).
greeting() {
  if command -v bash >/dev/null; then
    timeout 2 bash -c 'exec 3<>/dev/tcp/localhost/3306 && head -c 72 <&3'
  elif command -v nc >/dev/null; then
    timeout 2 nc localhost 3306 </dev/null | head -c 72
  else
    echo "the image has neither bash nor nc, by one of which to ask the database" >&2
  fi
}

set -- $(greeting | od -An -v -tu1)
if [ "$#" -ne 72 ] || [ "$5" -ne 10 ]; then
  echo "no greeting: the init file has not ended"
  exit 1
fi
shift 5
while [ "$1" -ne 0 ]; do shift; done
shift 17
if [ "$(($1 & 2))" -eq 0 ]; then
  echo "the init file stopped before its last statement: see the log"
  exit 1
fi
