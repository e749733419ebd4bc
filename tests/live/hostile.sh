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

# request METHOD URI [CHANGE...]: one on standard output; a CHANGE is a sed expression.
request() {
	local method=$1 uri=$2 change
	shift 2
	{
		printf '%s %s SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:9;rport;branch=z9hG4bK%s%s\n' "$method" "$uri" "$RANDOM" "$RANDOM"
		printf 'From: <sip:a@example.com>;tag=1\nTo: <sip:b@example.com>\nCall-ID: %s-%s\nCSeq: 1 %s\n' "$RANDOM" "$RANDOM" "$method"
		printf 'Contact: <sip:a@127.0.0.1:9>\nMax-Forwards: 70\nContent-Length: 0\n\n'
	} >plain
	for change; do sed -i "$change" plain; done
	sed 's/$/\r/' plain
}

# answer_is STATUS REQUEST-ARGUMENTS...: over UDP; STATUS `silence` means none within half a second.
answer_is() {
	local wanted=$1 answer
	shift
	exec {fd}<>"/dev/udp/127.0.0.1/${TO_PORT:-$PUB}"
	request "$@" >datagram
	cat datagram >&"$fd"
	answer=$(timeout 0.5 dd bs=65536 count=1 <&"$fd" 2>/dev/null | head -n 1 | tr -d '\r')
	# A 100 comes first where a call is tried.
	[[ $answer == "SIP/2.0 100"* ]] && answer=$(timeout 2 dd bs=65536 count=1 <&"$fd" 2>/dev/null | head -n 1 | tr -d '\r')
	exec {fd}>&-
	case $wanted in
	silence) [[ -z $answer ]] || fail "expected silence, got: $answer to: $(head -n 1 datagram) ${*:3}" ;;
	*) [[ $answer == "SIP/2.0 $wanted "* ]] || fail "expected $wanted, got: ${answer:-nothing} to: $(head -n 1 datagram) ${*:3}" ;;
	esac
}

live_refusals() {
	local token=qaaaaaaaaaaaaaaaaaaaaaaaaaa
	hostile_begin
	answer_is 483 INVITE "sip:bob@127.0.0.1:$PUB" 's/^Max-Forwards:.*/Max-Forwards: 0/'
	answer_is 505 INVITE "sip:bob@127.0.0.1:$PUB" '1s/2\.0$/3.0/'
	answer_is 400 INVITE "sip:bob@127.0.0.1:$PUB" 's/^CSeq:.*/CSeq: one INVITE/'
	answer_is silence INVITE "sip:bob@127.0.0.1:$PUB" '/^Call-ID:/d' # no answer can be made: it would need one
	answer_is 400 INVITE "sip:bob@127.0.0.1:$PUB" 's/^Content-Length:.*/Content-Length: 700/'
	answer_is 403 INVITE "sip:bob@elsewhere.example.org"
	TO_PORT=$CORE answer_is 404 MESSAGE "sip:bob@127.0.0.1:$CORE" # no rule lets the servers' side call
	# A token nobody made: refused before any state is touched; an ACK with it gets nothing.
	answer_is 481 BYE "sip:$token@127.0.0.1:$PUB" "s/^To:.*/&;tag=$token/"
	answer_is 481 INFO "sip:b@127.0.0.1:$PUB" 's/^To:.*/&;tag=nobody/'
	answer_is silence ACK "sip:$token@127.0.0.1:$PUB" "s/^To:.*/&;tag=$token/"
	answer_is silence ACK "sip:bob@127.0.0.1:$PUB"
	answer_is 481 CANCEL "sip:bob@127.0.0.1:$PUB"
	still_serves caller
}
