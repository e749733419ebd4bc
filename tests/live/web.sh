# tests/live/web.sh - what monitors and balancers read over HTTP: /live, /ready, /metrics; and who may not.
# shellcheck shell=bash

web_start() { # a demo server, and the SBC with an HTTP door in front of it
	port_take PORT WEB
	destination app-1 "$PORT"
	callee_start app "$PORT" demo
	conf_write
	sed -i "s/^admin: .*/admin: { socket: ctl.sock, http: \"127.0.0.1:$WEB\" }/" sbc.yaml
	sbc_start
}

# web PATH: status and body, as one HTTP/1.0 request by the shell itself.
web() {
	exec 9<>"/dev/tcp/127.0.0.1/$WEB" || return 1
	printf 'GET %s HTTP/1.0\r\nHost: %s\r\n\r\n' "$1" "${2:-127.0.0.1}" >&9
	tr -d '\r' <&9 >page
	exec 9>&-
	head -n 1 page | cut -d' ' -f2
	sed '1,/^$/d' page
}

says() { # says PATH STATUS [TEXT]
	local answer
	answer=$(web "$1")
	[[ $answer == "$2"* && $answer == *"${3:-}"* ]]
}

live_web_pages() {
	web_start
	wait_until 5 says /ready 200 ready || fail "/ready: $(web /ready)"
	says /live 200 "2 of 2 workers turn" || fail "/live: $(web /live)"
	says /nothing 404 || fail "/nothing: $(web /nothing)"
	[[ $(web /metrics evil.example) == 421* ]] || fail "another host is served"
	caller_run caller builtin -m 3 || fail "the calls: $(tail -n 3 caller.out)"
	web /metrics | tail -n +2 >metrics
	grep -qx 'sbc_calls_started_total 3' metrics || fail "the calls are not counted: $(head -n 5 metrics)"
	grep -qx 'sbc_destination_up{pool="apps",name="app-1"} 1' metrics || fail "the destination: $(grep destination metrics)"
	grep -qx 'sbc_http_bad_requests_total 1' metrics || fail "the door's own counters: $(grep http metrics)"
	grep -q '^content-type: text/plain; version=0.0.4' page || fail "the media type: $(head page)"
	ctl metrics | grep -v ' [0-9]*$' >by_ctl
	grep -v ' [0-9]*$' metrics | diff - by_ctl >differs || fail "sbcctl metrics says something else: $(head differs)"
	sbc_end
}

# A balancer in front takes the node out before a call fails: no server, a server that an operator drains, SIGTERM.
live_web_ready() {
	web_start
	wait_until 5 says /ready 200 || fail "/ready: $(web /ready)"
	ctl drain apps/app-1 --force >/dev/null || fail "drain"
	says /ready 503 "pool apps: no destination is up and in service" || fail "drained: $(web /ready)"
	ctl undrain apps/app-1 >/dev/null
	says /ready 200 || fail "undrained: $(web /ready)"
	kill "$PID_app"
	wait_until 10 says /ready 503 "pool apps" || fail "without its server: $(web /ready)"
	says /live 200 || fail "/live: $(web /live)"
	sbc_end
}

holds_one() {
	(($(ctl calls | wc -l) == 2)) && ctl calls | grep -q answered
}

live_web_closing() {
	local held
	web_start
	scenario caller hold <<-'.'
		-> INVITE sdp
		<- 100?
		<- 180
		<- 200
		-> ACK
		-- 3000
		-> BYE
		<- 200
	.
	caller_run held hold -m 1 &
	held=$!
	wait_until 10 holds_one || fail "no call: $(ctl calls)"
	kill -TERM "$SBC_PID"
	wait_until 2 says /ready 503 closing || fail "closing: $(web /ready)"
	says /live 200 || fail "/live: $(web /live)"
	wait "$held" || fail "the call that went on: $(tail -n 3 held.out)"
	wait_until 10 sbc_has_ended || fail "it does not end"
}

live_web_port_in_use() {
	local rc=0
	port_take PORT WEB
	destination app-1 "$PORT"
	conf_write
	sed -i "s/^admin: .*/admin: { socket: ctl.sock, http: \"127.0.0.1:$WEB\" }/" sbc.yaml
	child other.log sipp -sn uas -i 127.0.0.1 -p "$WEB" -t t1 -nostdin
	wait_until 5 eval "! port_is_free $WEB"
	timeout 10 "$SBC" -c sbc.yaml >out 2>&1 || rc=$?
	[[ $rc == 1 ]] || fail "ended with $rc"
	grep -qx "sbc: admin.http 127.0.0.1:$WEB: address in use by sipp (pid $CHILD)" out || fail "who holds it: $(cat out)"
}
