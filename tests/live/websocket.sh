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
