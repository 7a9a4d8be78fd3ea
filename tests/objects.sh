#!/usr/bin/env bash
# What only a server can show of object stores: tests/objects.sh BINARY [WORK]
# BINARY is a longsum with the feature `object-store`. Needs python3 and curl; takes a virtual
# environment of WORK (target/objects) with moto in it, made at the first call, as the S3
# server, on 127.0.0.1 alone. In front of it stands a proxy that writes down every request and, when it
# is told to, is busy, refuses, or goes away. Two minutes.
set -euo pipefail
bin=$(realpath "$1")
cd "$(dirname "$0")/.."
work=${2:-target/objects}
mkdir -p "$work"
tmp=$(mktemp -d)
pids=()
end() { for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; rm -rf "$tmp"; }
trap end EXIT

server=$work/venv/bin/moto_server
if [ ! -x "$server" ]; then
  { python3 -m venv "$work/venv" && "$work/venv/bin/pip" -q install 'moto[s3]==5.2.1' flask flask-cors; } \
    >"$tmp/install" 2>&1 || { echo "skipped: no S3 server could be installed"; tail -3 "$tmp/install"; exit 0; }
fi

cat >"$tmp/proxy.py" <<'PY'
import http.client, http.server, os, sys
port, behind, log, mode = int(sys.argv[1]), int(sys.argv[2]), open(sys.argv[3], "a", buffering=1), sys.argv[4]
puts = 0

class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        global puts
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        what, _, n = open(mode).read().strip().partition(" ")
        if what == "gone" and self.command == "PUT":
            puts += 1
            if puts > int(n):
                os._exit(0)
        if what == "busy" and int(n) > 0:
            open(mode, "w").write(f"busy {int(n) - 1}")
            return self.say(503, {}, b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>")
        if what == "deny":
            return self.say(403, {}, b"<Error><Code>InvalidAccessKeyId</Code><Message>The key does not exist in our records.</Message></Error>")
        c = http.client.HTTPConnection("127.0.0.1", behind)
        c.request(self.command, self.path, body, dict(self.headers))
        r = c.getresponse()
        self.say(r.status, dict(r.getheaders()), r.read())

    def say(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "connection", "transfer-encoding", "server", "date"):
                self.send_header(name, value)
        # An answer to HEAD tells the length of what it leaves out.
        length = headers.get("Content-Length") if self.command == "HEAD" else len(body)
        self.send_header("Content-Length", length or 0)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        log.write(f"{self.command} {self.path} {status}\n")

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer
    def log_message(self, *args): pass

http.server.ThreadingHTTPServer(("127.0.0.1", port), Proxy).serve_forever()
PY
cat >"$tmp/same.py" <<'PY'
import json, pathlib, sys
def reports(dir):
    found = {}
    for path in sorted(pathlib.Path(dir).rglob("*.json")):
        report = json.loads(path.read_text())
        report.pop("timings")
        for entry in report.get("documents", []):
            entry.pop("timings")
        if "source" in report:
            report["source"].pop("uri"), report["source"].pop("version", None)
        found[str(path.relative_to(dir))] = report
    return found
a, b = map(reports, sys.argv[1:])
assert a.keys() == b.keys(), (a.keys() ^ b.keys())
for name in a:
    assert a[name] == b[name], name
print(f"   {len(a)} files, the same in both")
PY

free() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
reached() { for _ in $(seq 150); do curl -s -o /dev/null "http://127.0.0.1:$1/" && return; sleep 0.2; done; echo "no server at $1"; cat "$tmp/moto.log"; exit 1; }
moto=$(free); port=$(free); store=http://127.0.0.1:$moto
"$server" -H 127.0.0.1 -p "$moto" >"$tmp/moto.log" 2>&1 & pids+=($!)
proxy() { python3 "$tmp/proxy.py" "$port" "$moto" "$tmp/log" "$tmp/mode" & pids+=($!); reached "$port"; : >"$tmp/log"; }
reached "$moto"; echo pass >"$tmp/mode"; proxy
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION=us-east-1
export AWS_ENDPOINT_URL=http://127.0.0.1:$port AWS_ALLOW_HTTP=true XDG_STATE_HOME=$tmp/state
unset LONGSUM_MODEL http_proxy HTTP_PROXY https_proxy HTTPS_PROXY all_proxy ALL_PROXY 2>/dev/null || true

cat >"$tmp/bucket.py" <<'PY'
# list BUCKET | get BUCKET PREFIX FOLDER | put BUCKET FILE KEY, past the proxy.
import pathlib, sys, urllib.parse, urllib.request, xml.etree.ElementTree as tree
store, what, bucket, *rest = sys.argv[1:]
def ask(key, data=None):
    url = f"{store}/{bucket}/{urllib.parse.quote(key)}"
    # Without a type it would be taken for a form, and without a name nobody may read what has an owner.
    head = {"Content-Type": "application/octet-stream", "Authorization": "AWS4-HMAC-SHA256 Credential=test/1/us-east-1/s3/aws4_request"}
    method = "PUT" if data else "GET"
    return urllib.request.urlopen(urllib.request.Request(url, data, head, method=method), timeout=60).read()
if what == "put":
    ask(rest[1], pathlib.Path(rest[0]).read_bytes())
    sys.exit()
listed = urllib.request.urlopen(f"{store}/{bucket}?list-type=2").read()
for key in sorted(e.text for e in tree.fromstring(listed).iter() if e.tag.endswith("}Key")):
    if what == "list":
        print(key)
    elif key.startswith(rest[0]):
        path = pathlib.Path(rest[1], key[len(rest[0]):])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(ask(key))
PY
ls_bucket() { python3 "$tmp/bucket.py" "$store" list "$1"; }
fetch() { python3 "$tmp/bucket.py" "$store" get "$@"; }
put() { python3 "$tmp/bucket.py" "$store" put bucket "$@"; }
count() { grep -c "$1" "$tmp/log" || true; }
is() { [ "$2" = "$3" ] || { echo "FAILED: $1: $2, not $3"; cat "$tmp/err" 2>/dev/null; exit 1; }; }
says() { grep -q -- "$1" "$tmp/err" || { echo "FAILED: it does not say: $1"; cat "$tmp/err"; exit 1; }; }
ends() { local want=$1 code=0; shift; "$bin" "$@" >"$tmp/out" 2>"$tmp/err" || code=$?; is "exit code of longsum $*" "$code" "$want"; }

echo "== an archive of 12 documents, in a folder and in a bucket"
a=$tmp/archive; mkdir -p "$a/in/deep" "$a/drafts" "$a/.git"
cp samples/{apples.html,bus-stops.md,harbour.md,lighthouse.txt,minutes.pdf} "$a"
cp samples/harbour.md "$a/in/a harbour & more.md"; cp samples/lighthouse.txt "$a/in/deep/Lïght.txt"
for n in 1 2 3; do { echo "Report $n."; echo; tail -n +"$((n * 4))" samples/harbour.md; } >"$a/in/$n.md"; done
gzip -c samples/lighthouse.txt >"$a/in/light.txt.gz"
python3 -c 'import sys, zipfile; zipfile.ZipFile(sys.argv[1], "w").write("samples/minutes.pdf", "minutes.pdf")' "$a/in/minutes.zip"
echo not read >"$a/picture.png"; cp samples/harbour.md "$a/.git/hidden.md"; cp samples/harbour.md "$a/drafts/draft.md"
curl -s -o /dev/null -X PUT "$store/bucket"
(cd "$a" && find . -type f | sed 's,^\./,,') | while read -r name; do put "$a/$name" "archive/$name"; done
flags=(--glob '!drafts' --length short --quiet)
ends 0 "$a" -o "$tmp/local" "${flags[@]}"
ends 0 s3://bucket/archive/ -o s3://bucket/reports/ "${flags[@]}"
fetch bucket reports/ "$tmp/remote"
python3 "$tmp/same.py" "$tmp/local" "$tmp/remote"
is "documents fetched" "$(count '^GET /bucket/archive/')" 12
grep -q '"version"' "$tmp/remote/harbour.md.json"
is "documents hidden or drafts" "$(ls_bucket bucket | grep -c 'reports/.*\(hidden\|draft\)' || true)" 0

echo "== again: nothing is fetched or done twice"
: >"$tmp/log"; ends 0 s3://bucket/archive/ -o s3://bucket/reports/ "${flags[@]}"
is "documents fetched" "$(count '^GET /bucket/archive/')" 0
is "objects written" "$(count '^PUT')" 1

echo "== one document is another: only that one is done"
{ cat samples/lighthouse.txt; echo; echo "The keeper left in the spring of 1921, and the lamp went dark."; } >"$tmp/new"
put "$tmp/new" archive/lighthouse.txt
: >"$tmp/log"; ends 0 s3://bucket/archive/ -o s3://bucket/reports/ "${flags[@]}"
is "documents fetched" "$(count '^GET /bucket/archive/')" 1
is "objects written" "$(grep '^PUT' "$tmp/log" | sort | tr '\n' ,)" "PUT /bucket/reports/lighthouse.txt.json 200,PUT /bucket/reports/run.json 200,"

echo "== a server that goes away after five reports: try again, and the next run does the others"
echo gone 5 >"$tmp/mode"
ends 75 s3://bucket/archive/ -o s3://bucket/again/ "${flags[@]}" --jobs 1 --retries 0
says 's3://bucket/again/run.json'
is "reports" "$(ls_bucket bucket | grep -c '^again/')" 5
ends 75 s3://bucket/archive/ -o s3://bucket/again/ "${flags[@]}"
says 'cannot read `s3://bucket/archive/`'
echo pass >"$tmp/mode"; proxy
ends 0 s3://bucket/archive/ -o s3://bucket/again/ "${flags[@]}"
is "documents fetched" "$(count '^GET /bucket/archive/')" 7
fetch bucket again/ "$tmp/again"; rm -rf "$tmp/remote"; fetch bucket reports/ "$tmp/remote"
python3 "$tmp/same.py" "$tmp/again" "$tmp/remote"

echo "== a busy server is asked again; one that refuses, and a bucket that is not there, are told of"
echo busy 3 >"$tmp/mode"; ends 0 s3://bucket/archive/minutes.pdf --length short --format md --quiet
grep -q '^# ' "$tmp/out"
echo deny >"$tmp/mode"; ends 2 s3://bucket/archive/ -o "$tmp/denied"
says 'cannot read `s3://bucket/archive/`: InvalidAccessKeyId'; says 'hint: set AWS_ACCESS_KEY_ID'
ends 2 "$a" -o s3://bucket/denied/; says 'cannot write `s3://bucket/denied/`: InvalidAccessKeyId'
echo pass >"$tmp/mode"
AWS_ALLOW_HTTP=false ends 2 s3://bucket/archive/; says 'has no TLS'; says 'AWS_ALLOW_HTTP=true'
ends 2 s3://nowhere/archive/ -o "$tmp/nowhere"; says 'cannot read `s3://nowhere/archive/`: NoSuchBucket'
ends 2 "$a" -o s3://nowhere/reports/; says 'cannot write `s3://nowhere/reports/`: NoSuchBucket'
ends 2 s3://bucket/no.pdf; says 'cannot read `s3://bucket/no.pdf`'
ends 2 s3://bucket/no/; says '`s3://bucket/no/` has no documents'

echo "== to and from files; an archive of several; extract; worker; parts"
ends 0 s3://bucket/archive/in -o "$tmp/down/" --length short --quiet
is "reports" "$(find "$tmp/down" -name '*.json' | wc -l)" 8
ends 0 "$a/harbour.md" -o s3://bucket/one.md --format md --quiet
ends 0 "file://$a/in/a%20harbour%20&%20more.md" -o "file://$tmp/one.json" --quiet; [ -s "$tmp/one.json" ]
: >"$tmp/log"; ends 0 "$a/harbour.md" -o s3://bucket/one.md --format md --quiet
is "objects written" "$(count '^PUT')" 0
python3 -c 'import sys, zipfile; z = zipfile.ZipFile(sys.argv[1], "w"); z.write("samples/harbour.md"); z.write("samples/lighthouse.txt")' "$tmp/two.zip"
put "$tmp/two.zip" two.zip; ends 1 s3://bucket/two.zip; says 'archive of 2 documents'; says 'hint: download it first'
ends 0 extract s3://bucket/archive/harbour.md --format text; grep -q -i harbour "$tmp/out"
echo '{"custom_id": 1, "path": "s3://bucket/archive/harbour.md"}' | "$bin" worker 2>/dev/null | grep -q '"report"'
ends 0 plan s3://bucket/archive/bus-stops.md --parts 2 -o "$tmp/plan.json"
for n in 1 2; do ends 0 map "$tmp/plan.json" --part $n -o s3://bucket/notes/ --quiet; done
ends 0 merge "$tmp/plan.json" s3://bucket/notes/ -o s3://bucket/merged.json --quiet
ls_bucket bucket | grep -q '^merged.json$'
is "uploads begun and left" "$(curl -s "$store/bucket?uploads" | grep -c '<Upload>' || true)" 0
echo "all is well"
