# What became of the documents: $part is `annotations`, commands to the runner; or `table` or `all`,
# Markdown. $run[0] is run.json, $reports are pairs of a document's SHA-256 and its report.

# Text as it is, whatever Markdown or HTML it looks like: what could mean anything becomes a number.
def plain:
  tostring | explode
  | map(
      if . < 32 or (. >= 127 and . < 160) or (. >= 8203 and . < 8208) or (. >= 8232 and . < 8239)
        or (. >= 8288 and . < 8304) or . == 65279 then " "
      elif (. >= 33 and . < 48 and . != 44) or (. >= 58 and . < 65) or (. >= 91 and . < 97)
        or (. >= 123 and . < 127) then "&#\(.);"
      else [.] | implode end)
  | join("");

# Text in a command to the runner, and in one of its properties.
def message: tostring | gsub("%"; "%25") | gsub("\r"; "%0D") | gsub("\n"; "%0A");
def property: message | gsub(":"; "%3A") | gsub(","; "%2C");

def documents: $run[0].documents;
def report: ($reports | from_entries)[.sha256 // ""] // {};
def statements: report | .statements // [];
def borne_out: [statements[] | select(.support == "supported")] | length;

def pages($are):
  [.citations[]?.pages | if .[0] == .[1] then "\(.[0])" else "\(.[0])–\(.[1])" end] | unique
  | if . == [] then "" else " *(\($are // "pages" | rtrimstr("s")) \(join(", ")))*" end;

def table:
  "| document | pages | what became of it | borne out |",
  "| --- | --: | --- | --- |",
  ( documents[]
    | "| \(.document | plain) | \(.n_pages // "") | \(.fate)\(if .reason then ": \(.reason | plain)" else "" end) | "
      + "\(if .report then "\(borne_out) of \(statements | length)" else "" end) |" );

def unmet:
  [documents[] | .document as $name | .gates_unmet[]? | "- \($name | plain): \(. | plain)"]
  | if . == [] then empty else "", "**Gates not met**", "", .[] end;

def details:
  documents[] | select(.report) | report.pages_are as $are
  | "", "<details><summary>\(.document | plain)</summary>", "",
    (statements[] | "- \(.text | plain)\(pages($are))\(if .support == "supported" then "" else " — \(.support)" end)"),
    "", "</details>";

def annotations:
  documents[]
  | (if .fate == "failed" then "::error file=\(.document | property),title=not summarized::\(.reason // "" | message)" else empty end),
    (.document as $name | .gates_unmet[]? | "::error file=\($name | property),title=gate not met::\(message)");

if $part == "annotations" then annotations
else "## Summaries", "", table, unmet, (if $part == "all" then details else empty end)
end
