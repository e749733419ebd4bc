# tests/live/websocket.sh - phones over WebSocket, by a client that is not ours (Debian's python3-websocket).
# shellcheck shell=bash

# websocket_conf LISTENERS: phones that register, and calls to where they are; `LISTENERS` are more of the public zone.
websocket_conf() {
	local port
	port_take port
	destination app-1 "$port"
	EXTRA='registrar: { example.com: { auth: none, expires: { jitter: 0 } } }' conf_write
	sed -i -e 's/^routes:/&\n  - { when: { method: REGISTER }, to: registrar }\n  - { when: { callee: registered, caller: any }, to: location }/' \
		-e "/^  public:/,/domains/ s|\"tcp:[^\"]*\"|&, $1|" \
		-e '/^  public:/,/domains/ s|domains:.*|&\n    origins: ["https://*.example.com"]|' sbc.yaml
}

# websocket_phones URL: two of them, nine calls, and what is refused.
websocket_phones() {
	timeout 60 /usr/bin/python3 "$LIVE/wsphones.py" "$1" example.com 9 "${@:2}" >phones.out 2>&1 ||
		fail "$(tail -n 15 phones.out; tail -n 3 sbc.log)"
}

has_websocket() {
	/usr/bin/python3 -c 'import websocket' 2>/dev/null
}

live_phones_over_ws() {
	local ws
	has_websocket || skip "python3-websocket is not installed"
	port_take ws
	websocket_conf "\"ws:127.0.0.1:$ws/sip\""
	sbc_start
	websocket_phones "ws://127.0.0.1:$ws/sip"
	sbc_end
}

# The port of SIP over TCP takes WebSockets, too; SIPp calls over it meanwhile.
live_ws_and_tcp_on_one_port() {
	has_websocket || skip "python3-websocket is not installed"
	websocket_conf "\"ws:127.0.0.1:$PUB/sip\""
	sbc_start
	websocket_phones "ws://127.0.0.1:$PUB/sip"
	sbc_end
}

# A certificate for 127.0.0.1, and wss beside tls: `$1` is the listeners, `$2` the URL.
wss_phones() {
	has_websocket || skip "python3-websocket is not installed"
	"$ROOT/tools/demo-certificate" certificates localhost 127.0.0.1 || fail "no certificate"
	websocket_conf "$1"
	sed -i 's|^    origins:.*|&\n    tls: [{ name: localhost, cert: certificates/localhost.pem, key: certificates/localhost.key }]|' sbc.yaml
	sbc_start
	websocket_phones "$2" certificates/ca.pem
	[[ $(metric_of ws_upgraded_total) == 2 ]] || fail "upgrades: $(metric_of ws_upgraded_total)"
}

metric_of() { # metric_of NAME: over all workers
	ctl metrics | awk -v name="sbc_$1" '$1 ~ "^" name "([{]|$)" { n += $NF } END { printf "%.0f\n", n }'
}

live_phones_over_wss() {
	local wss
	port_take wss
	wss_phones "\"wss:127.0.0.1:$wss/sip\"" "wss://127.0.0.1:$wss/sip"
	sbc_end
}

# What does not begin with "GET " is SIP: an OPTIONS over the same port is answered.
live_wss_and_tls_on_one_port() {
	local port
	port_take port
	wss_phones "\"tls:127.0.0.1:$port\", \"wss:127.0.0.1:$port/sip\"" "wss://127.0.0.1:$port/sip"
	printf 'OPTIONS sip:127.0.0.1:%s;transport=tls SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.2:5061;branch=z9hG4bKx\r\nMax-Forwards: 70\r\nFrom: <sip:a@example.com>;tag=a\r\nTo: <sip:127.0.0.1>\r\nCall-ID: options\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n' "$port" |
		timeout 5 openssl s_client -quiet -CAfile certificates/ca.pem -connect "127.0.0.1:$port" >options.out 2>&1 &
	wait_until 5 grep -q '^SIP/2.0 200' options.out || fail "no answer to OPTIONS over TLS: $(head -c 300 options.out)"
	sbc_end
}
