# Reads what lies on a volume: reader.sh CONTROL VOLUME NONCE
# CONTROL is an empty folder, VOLUME the volume. Run by sh with coreutils, in clear. It writes
# one line of words: for each file c: or v: and its name (or, where that has other characters,
# x: and words of hexadecimal digits up to a dot), then its first bytes and those of its
# fourth page in hexadecimal digits; u says that it could not be read.
LC_ALL=C
mkdir -p "$1"
zeros() { head -c "$1" /dev/zero; }
{ printf '%b' '@SPACE@'; zeros 49088; printf '%b' '@PAGE@'; zeros 16320; } >"$1/clear.ibd"
{ printf '%b' '@BINLOG@'; zeros 236; printf '%b' '@EVENT@'; } >"$1/clear.000001"
{ printf '%b' '@ARIA@'; zeros 448; } >"$1/clear.MAI"
printf 'confidb-canary-%s' "$3" >"$1/canary"

sample() {
  case $1 in
  *.MAI | *.[0-9][0-9][0-9][0-9][0-9][0-9]) od -An -v -tx1 -w64 -N512 -- "$1" ;;
  *.frm) od -An -v -tx1 -w64 -N16 -- "$1" ;;
  *) od -An -v -tx1 -w49152 -N49216 -- "$1" ;;
  esac
}
name() {
  case $2 in
  *[!A-Za-z0-9_@#.,=+/-]*)
    echo "$1x:"
    printf '%s' "$2" | od -An -v -tx1 -w64
    echo .
    ;;
  *) echo "$1:$2" ;;
  esac
}
# walk FOLDER: the names of kind $kind are below $root
walk() {
  [ -r "$1" ] && [ -x "$1" ] || { name "$kind" "${1#"$root/"}"; echo u; return; }
  for f in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    if [ -L "$f" ]; then
      name "$kind" "${f#"$root/"}"
      echo l
    elif [ -d "$f" ]; then
      walk "$f"
    elif [ -f "$f" ]; then
      name "$kind" "${f#"$root/"}"
      sample "$f" 2>/dev/null || if [ -e "$f" ]; then echo u; else echo g; fi
    elif [ -e "$f" ]; then
      name "$kind" "${f#"$root/"}"
      echo o
    fi
  done
}
{
  echo begin
  kind=c root=$1
  walk "$1"
  kind=v root=$2
  walk "$2"
  echo end
} | cut -c1-192 | tr -d ' ' | tr '\n' ' '
