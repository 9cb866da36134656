# Doxygen reads headers through this: the lines that open a header, // as they are in the sources, become the description
# of its file, and what comments say in the signs <, >, & and \ is text and not markup. Specialisations of std's templates
# are left out: Doxygen asks for the templates.
function text(line) {
  gsub(/&/, "\\&amp;", line)
  gsub(/</, "\\&lt;", line)
  gsub(/>/, "\\&gt;", line)
  gsub(/\\/, "\\&#92;", line)
  return line
}
NR == 1 && /^\/\/ / { print "/// @file"; opening = 1 }
opening && /^\/\// { sub(/^\/\/ ?/, ""); print "/// " text($0); next }
opening { opening = 0 }
match($0, /\/\/\/<?/) { print substr($0, 1, RSTART + RLENGTH - 1) text(substr($0, RSTART + RLENGTH)); next }
/^template <>$/ { held = 1; next }
held { held = 0; if (/^struct std::/) hidden = 1; else print "template <>" }
hidden { if (/^};/) hidden = 0; next }
{ print }
