# tests/live/hostile.sh - bytes no honest phone sends, at the running program.
# shellcheck shell=bash

still_serves() {
	sbc_is_up || fail "the SBC is gone: $(tail -n 5 sbc.log)"
	caller_run "$1" demo -m 3 || fail "no call after it"
}

hostile_begin() {
	local port
	port_take port
	destination app-1 "$port"
	callee_start callee "$port" demo
	sbc_start
}

to_udp() { # to_udp FILE PORT: one datagram
	# shellcheck disable=SC2094 # the device is not the file
	cat "$1" 2>/dev/null >"/dev/udp/127.0.0.1/$2" || true
}

to_tcp() { # to_tcp FILE PORT: what comes back within half a second is thrown away
	(
		exec {fd}<>"/dev/tcp/127.0.0.1/$2" || exit 0
		cat "$1" >&"$fd"
		timeout 0.2 cat <&"$fd" >/dev/null
	) 2>/dev/null || true
}

rfc4475_files() {
	find "$ROOT/tests/data/rfc4475" -type f ! -name '*.md' ! -name '*.txt' ! -name README\* | sort
}

live_rfc4475_udp() {
	local file n=0
	hostile_begin
	for file in $(rfc4475_files); do
		to_udp "$file" "$PUB"
		to_udp "$file" "$CORE"
		sbc_is_up || fail "$(basename "$file") ended the SBC: $(tail -n 5 sbc.log)"
		((++n))
	done
	((n >= 40)) || fail "only $n messages of RFC 4475 in tests/data/rfc4475"
	still_serves caller
}

live_rfc4475_tcp() {
	local file n=0
	hostile_begin
	for file in $(rfc4475_files); do
		to_tcp "$file" "$PUB"
		sbc_is_up || fail "$(basename "$file") ended the SBC: $(tail -n 5 sbc.log)"
		((++n))
	done
	((n >= 40)) || fail "only $n messages of RFC 4475 in tests/data/rfc4475"
	still_serves caller
}

live_noise() {
	local size
	hostile_begin
	for size in 0 1 2 3 4 31 32 33 511 512 1400 9000 65507; do
		head -c "$size" /dev/urandom >noise
		to_udp noise "$PUB"
		to_tcp noise "$PUB"
		head -c "$size" /dev/zero | tr '\0' '\n' >noise
		to_udp noise "$PUB"
		head -c "$size" /dev/zero | tr '\0' 'A' >noise
		to_tcp noise "$PUB"
	done
	still_serves caller
}

# Stream framing: the same message one byte at a time, and CR LF CR LF answered by CR LF (RFC 5626 section 3.5.1).
live_tcp_byte_by_byte() {
	local i message answer
	hostile_begin
	message=$(printf 'OPTIONS sip:127.0.0.1:%s SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bKbytes\r\nFrom: <sip:a@example.com>;tag=1\r\nTo: <sip:127.0.0.1:%s>\r\nCall-ID: bytes\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n_' "$PUB" "$PUB")
	message=${message%_}
	exec {fd}<>"/dev/tcp/127.0.0.1/$PUB"
	for ((i = 0; i < ${#message}; i++)); do printf '%s' "${message:i:1}" >&"$fd"; done
	IFS= read -r -t 5 answer <&"$fd" || fail "no answer"
	[[ $answer == "SIP/2.0 200"* ]] || fail "answered with: $answer"
	while IFS= read -r -t 2 answer <&"$fd" && [[ $answer != $'\r' ]]; do :; done
	printf '\r\n\r\n' >&"$fd"
	IFS= read -r -t 5 answer <&"$fd" || fail "no pong"
	[[ $answer == $'\r' ]] || fail "the pong is: $answer"
}

live_ten_messages_in_one_segment() {
	local i answers
	hostile_begin
	for ((i = 0; i < 10; i++)); do
		printf 'OPTIONS sip:127.0.0.1:%s SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bKten%s\r\nFrom: <sip:a@example.com>;tag=1\r\nTo: <sip:127.0.0.1:%s>\r\nCall-ID: ten%s\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n' "$PUB" "$i" "$PUB" "$i"
	done >ten
	exec {fd}<>"/dev/tcp/127.0.0.1/$PUB"
	cat ten >&"$fd"
	answers=$(timeout 2 cat <&"$fd" | grep -c '^SIP/2.0 200')
	[[ $answers == 10 ]] || fail "$answers of 10 were answered"
}
