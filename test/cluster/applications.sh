#!/usr/bin/env bash
# Writes to .lab/images the images of the application test/apps/tokenizer and of the
# same program with one byte changed, and what both are measured as: applications,
# lines "NAME MRENCLAVE". Apart from images.sh, whose text names MariaDB's root
# file system in the cache.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

heap=256M # as test/apps/tokenizer/deployment.yaml sets it
source=$root/test/apps/tokenizer
programs=$lab/images/programs
mkdir -p "$programs"
# Nothing of the checkout is in the program: its measurement is that of the source.
CGO_ENABLED=0 go build -C "$source" -trimpath -buildvcs=false -ldflags '-s -w' -o "$programs/tokenizer" .
inputs=$(cat "$0" "$source/change-byte" "$programs/tokenizer" "$root/bin/confidb-lab" | sha256sum)
if [ "$inputs" = "$(cat "$lab/images/applications.inputs" 2>/dev/null)" ]; then
	exit 0
fi
"$source/change-byte" "$programs/tokenizer" "$programs/tokenizer-changed"
for name in tokenizer tokenizer-changed; do
	"$root/bin/confidb-lab" image --out "$lab/images/$name.tar" --name "lab.local/$name:1" \
		--file "/usr/bin/confidb-lab=$root/bin/confidb-lab" --file "/usr/bin/tokenizer=$programs/$name" \
		--entrypoint /usr/bin/confidb-lab --entrypoint run --user 101:101 >"$lab/images/$name.digest"
done
for name in tokenizer tokenizer-changed; do
	echo "$name $(SCONE_HASH=1 SCONE_HEAP=$heap "$root/bin/confidb-lab" run "$programs/$name")"
done >"$lab/images/applications"
echo "$inputs" >"$lab/images/applications.inputs"
