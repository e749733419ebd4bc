# tests/live/streams.sh - many connections at once, by the project's own clients (bench/streams.c, bench/load.c): registered and
# gone, slow in every phase, and calls over them.
# shellcheck shell=bash
readonly CLIENTS=${SBC%/*}/bench/bench-streams CALLS=${SBC%/*}/bench/bench-load

# certificate: a key and a certificate of its own, of example.com.
certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem -days 30 \
		-subj /CN=example.com -addext subjectAltName=DNS:example.com,IP:127.0.0.1 2>openssl.log || fail "openssl: $(cat openssl.log)"
}

# streams_begin KIND: an SBC that listens for it at AT, and registers whoever asks; calls go to port APP.
streams_begin() {
	KIND=$1 AT=$PUB
	port_take APP
	destination app-1 "$APP"
	EXTRA='registrar: { example.com: { auth: none, expires: { jitter: 0 } } }' conf_write
	sed -i 's/^routes:/&\n  - { when: { method: REGISTER }, to: registrar }/' sbc.yaml
	if [[ $KIND != tcp ]]; then
		port_take AT
		sed -i "0,/    listen: \[/s||&\"$KIND:127.0.0.1:$AT$([[ $KIND != ws* ]] || echo /sip)\", |" sbc.yaml
	fi
	if [[ $KIND == tls || $KIND == wss ]]; then
		certificate
		sed -i 's/^    domains: .*/&\n    tls: [{ name: example.com, cert: cert.pem, key: key.pem }]/' sbc.yaml
	fi
	sbc_start
}

# clients_start [OPTION...]; clients COMMAND...: what they say to it, in SAID.
clients_start() {
	[[ -x $CLIENTS ]] || fail "$CLIENTS is not built"
	coproc STREAMS { exec "$CLIENTS" -t "127.0.0.1:$AT" -k "$KIND" -P /sip -N example.com "$@" 2>clients.err; }
}

clients() {
	echo "$*" >&"${STREAMS[1]}"
	read -r -t 100 SAID <&"${STREAMS[0]}" || fail "'$*': no answer"
	[[ $SAID == '{"good":true,'* ]] || fail "'$*': $SAID $(head -c 300 clients.err)"
}

of_said() { # of_said NAME: that field
	sed -n "s/.*\"$1\":\([^,}]*\).*/\1/p" <<<"$SAID"
}

metric() { # metric NAME: over all workers
	ctl metrics | awk -v name="$1" '$1 ~ "^" name "([{]|$)" { n += $NF } END { printf "%.0f\n", n }'
}

nobody_is_left() {
	[[ $(metric sbc_tcp_connections) == 0 ]]
}

# vanish KIND: they register, answer pings, and go, once by reset and once in order; nothing of a connection stays.
vanish() {
	local how
	streams_begin "$1"
	clients_start -r
	for how in reset fin; do
		clients open 300 1000 30
		[[ $(of_said registered) == 300 ]] || fail "registered: $SAID"
		clients hold 1
		[[ $(metric sbc_tcp_connections) == 300 ]] || fail "connections: $(metric sbc_tcp_connections)"
		clients vanish "$how"
		wait_until 10 nobody_is_left || fail "$how: $(metric sbc_tcp_connections) are left"
	done
	sbc_end
}

# slow PHASE DEADLINE_S COUNTER: all that stop in that phase are ended then, and counted.
slow() {
	local before
	before=$(metric "$3")
	clients slow "$1" 20 $(($2 + 15))
	awk -v a="$(of_said first_ended_s)" -v b="$(of_said last_ended_s)" -v at="$2" 'BEGIN { exit !(a >= at - 1 && b <= at + 5) }' ||
		fail "$1: ended after $(of_said first_ended_s) to $(of_said last_ended_s) s instead of $2"
	[[ $(($(metric "$3") - before)) == 20 ]] || fail "$1: $3 is $(($(metric "$3") - before))"
	wait_until 10 nobody_is_left || fail "$1: $(metric sbc_tcp_connections) are left"
}

# stream_calls KIND: 400 calls over 20 connections, no failure, and none ends a connection.
stream_calls() {
	local line
	streams_begin "$1"
	line=$(echo "-t 127.0.0.1:$AT -T $KIND -P /sip -p 20 -n 400 -c 200 -u bob -d example.com" | timeout 60 "$CALLS" -l "127.0.0.1:$APP" 2>calls.err)
	[[ $line == '{"good":true,'* && ! -s calls.err ]] || fail "$line $(head -c 300 calls.err)"
	wait_until 10 nobody_is_left || fail "$(metric sbc_tcp_connections) connections are left"
	sbc_end
}

live_streams_vanish_tcp() { vanish tcp; }
live_streams_vanish_tls() { vanish tls; }
live_streams_vanish_ws() { vanish ws; }
live_streams_vanish_wss() { vanish wss; }
live_stream_calls_tcp() { stream_calls tcp; }
live_stream_calls_tls() { stream_calls tls; }
live_stream_calls_ws() { stream_calls ws; }
live_stream_calls_wss() { stream_calls wss; }

# 50 connections over TLS that carry 400 calls/s, SOAK_S seconds: with SBC=build/asan/sbc that is `make soak-tls`.
live_load_soak_tls() {
	local line seconds=${SOAK_S:-5}
	streams_begin tls
	line=$(echo "-t 127.0.0.1:$AT -T tls -p 50 -n $((400 * seconds)) -c 400 -u bob -d example.com" |
		timeout $((seconds + 60)) "$CALLS" -l "127.0.0.1:$APP" 2>calls.err)
	echo "$line"
	[[ $line == *'"failed":0,'* && $(sed 's/.*"completed":\([0-9]*\).*/\1/' <<<"$line") == $((400 * seconds)) && ! -s calls.err ]] ||
		fail "$line $(head -c 300 calls.err)"
	wait_until 10 nobody_is_left || fail "$(metric sbc_tcp_connections) connections are left"
	sbc_end
	! grep -qE 'Sanitizer|runtime error' sbc.log || fail "$(grep -m1 -E 'Sanitizer|runtime error' sbc.log)"
}

live_streams_slow_tcp() {
	streams_begin tcp
	clients_start
	slow drip 10 sbc_tcp_closed_slow_message_total
	slow silent 30 sbc_tcp_closed_silent_total
	sbc_end
}

# proxied: a phone behind a balancer has the address that the balancer says; one that does not say, or is none, gets nowhere.
live_streams_proxied_tcp() {
	streams_begin tcp
	sed -i 's/^    domains: .*/&\n    proxy-protocol: ["127.96.0.1"]/' sbc.yaml
	expect "reload" ctl reload
	clients_start -X -r
	clients open 1 10 10
	ctl --json bindings >bindings.json
	grep -q '198\.18\.0\.1' bindings.json || fail "it is not from where the balancer said: $(cat bindings.json)"
	[[ $(metric sbc_tcp_proxied_total) == 1 ]] || fail "proxied: $(metric sbc_tcp_proxied_total)"
	clients vanish fin
	clients slow silent 1 10
	[[ $(metric sbc_tcp_closed_proxy_total) == 1 ]] || fail "without a header: $(metric sbc_tcp_closed_proxy_total)"
	sbc_end
}

# HAProxy in front, in both versions: 400 calls over 20 connections through it.
live_stream_calls_haproxy() {
	local balancer version line
	command -v haproxy >/dev/null || skip "no haproxy"
	streams_begin tcp
	sed -i 's/^    domains: .*/&\n    proxy-protocol: ["127.0.0.9"]/' sbc.yaml
	expect "reload" ctl reload
	for version in send-proxy send-proxy-v2; do
		port_take balancer
		cat >haproxy.cfg <<-.
			defaults
				mode tcp
				timeout connect 2s
				timeout client 30s
				timeout server 30s
			listen sip
				bind 127.0.0.1:$balancer
				server sbc 127.0.0.1:$PUB $version source 127.0.0.9
		.
		child haproxy.log haproxy -db -f haproxy.cfg
		wait_until 5 eval "! port_is_free $balancer" || fail "haproxy: $(tail -n 3 haproxy.log)"
		line=$(echo "-t 127.0.0.1:$balancer -T tcp -p 20 -n 400 -c 200 -u bob -d example.com" |
			timeout 60 "$CALLS" -l "127.0.0.1:$APP" 2>calls.err)
		[[ $line == '{"good":true,'* && ! -s calls.err ]] || fail "$version: $line $(head -c 300 calls.err)"
	done
	[[ $(metric sbc_tcp_proxied_total) == 40 ]] || fail "proxied: $(metric sbc_tcp_proxied_total)"
	sbc_end
}

# What a handshake, an upgrade and a first message may take, each with clients that stop in the middle.
live_streams_slow_tls() {
	streams_begin tls
	clients_start
	slow hello 10 sbc_tcp_closed_slow_handshake_total
	slow drip 10 sbc_tcp_closed_slow_message_total
	slow ready 30 sbc_tcp_closed_silent_total
	sbc_end
}

live_streams_slow_wss() {
	streams_begin wss
	clients_start
	slow silent 10 sbc_tcp_closed_slow_handshake_total
	slow upgrade 10 sbc_tcp_closed_slow_upgrade_total
	slow ready 30 sbc_tcp_closed_silent_total
	sbc_end
}
