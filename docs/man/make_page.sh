#!/bin/sh
# Writes a manual page to standard output: FRAME with the line @COMMANDS@ replaced by what PROGRAM and its commands say to
# --help.
#
#   docs/man/make_page.sh PROGRAM FRAME [COMMAND...]
set -eu

program="$1"
frame="$2"
shift 2

# Options of one command in troff: a heading for each group, a paragraph with a tag for each option, the text behind them as
# it is. A description begins in column 31, or in the next line where the option leaves no room.
options_of() {
  "$program" "$@" --help | awk -v title="$(basename "$program")${1:+ $1}" '
    function escaped(text) {
      gsub(/\\/, "\\e", text)
      gsub(/-/, "\\-", text)
      if (text ~ /^[.\047]/) text = "\\&" text
      return text
    }
    function trimmed(text) { gsub(/^ +| +$/, "", text); return text }
    function is_description(text) { return length(text) > 30 && substr(text, 1, 30) ~ /^ +$/ }
    { lines[NR] = $0 }
    END {
      print ".SS \"" escaped(title) "\""
      for (i = 1; i <= NR; i++) {
        line = lines[i]
        if (line ~ /^Usage: /) {
          print ".PP\n.B " escaped(substr(line, 8))
          seen_usage = 1
        } else if (!seen_usage) {
          if (line != "") print escaped(line)
        } else if (line == "Positionals:" || (line ~ /:$/ && lines[i + 1] ~ /^  -/)) {
          print ".PP\n\\fI" escaped(substr(line, 1, length(line) - 1)) "\\fR"
          group = line
        } else if (line ~ /^  -/ || (group == "Positionals:" && line ~ /^  [a-z]/)) {
          apart = is_description(lines[i + 1])
          tag = trimmed(apart ? line : substr(line, 1, 30))
          name = tag
          sub(/ .*/, "", name)
          print ".TP\n\\fB" escaped(name) "\\fR" escaped(substr(tag, length(name) + 1))
          if (!apart) print escaped(trimmed(substr(line, 31)))
        } else if (is_description(line)) {
          print escaped(trimmed(line))
        } else if (line != "") {
          if (!notes) print ".PP\n.nf"
          notes = 1
          print escaped(line)
        }
      }
      if (notes) print ".fi"
    }'
}

while IFS= read -r line; do
  if [ "$line" = "@COMMANDS@" ]; then
    if [ $# -eq 0 ]; then
      options_of
    else
      for command in "$@"; do options_of "$command"; done
    fi
  else
    printf '%s\n' "$line"
  fi
done <"$frame"
