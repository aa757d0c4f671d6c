#!/bin/sh
# conformance_test.sh PROGRAM FOLDER: a recording is the same when replayed, a changed one differs, none is skipped.
set -eu
program=$1
folder=$2
rm -rf "$folder"
mkdir -p "$folder"

status=0
"$program" --replay "$folder" >"$folder.log" || status=$?
[ "$status" = 77 ] || { echo "no recording: expected status 77, got $status"; exit 1; }
grep -q '^skipped: ' "$folder.log"

"$program" --output "$folder"
"$program" --replay "$folder"
for file in "$folder"/*.txt; do
  cp "$file" "$file.kept"
  # Another first digit in the last line changes a sign or an exponent: beyond every tolerance.
  last=$(tail -n 1 "$file")
  case $last in 4*) digit=c ;; *) digit=4 ;; esac
  sed "\$ s/^./$digit/" "$file.kept" >"$file"
  status=0
  "$program" --replay "$folder" >"$folder.log" || status=$?
  mv "$file.kept" "$file"
  [ "$status" = 1 ] || { echo "changed $file: expected status 1, got $status"; exit 1; }
  [ "$(grep -c '^differs: ' "$folder.log")" = 1 ]
done
