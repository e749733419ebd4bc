# tests/live/registrar.sh - phones register at the program, with several workers; sbcctl shows and removes what they registered.
# shellcheck shell=bash

# phone_registers USER CSEQ LINES: one REGISTER; ANSWER is what comes back.
phone_registers() {
	local user=$1 cseq=$2 lines=$3
	printf 'REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;rport;branch=z9hG4bK%s%s\r\nMax-Forwards: 70\r\nFrom: <sip:%s@example.com>;tag=1\r\nTo: <sip:%s@example.com>\r\nCall-ID: %s\r\nCSeq: %s REGISTER\r\n%b\r\nContent-Length: 0\r\n\r\n' \
		"$user" "$cseq" "$user" "$user" "$user" "$cseq" "$lines" | dd bs=65536 iflag=fullblock 2>/dev/null >&"$PHONE"
	ANSWER=$(timeout 5 dd bs=65536 count=1 2>/dev/null <&"$PHONE")
	[[ -n $ANSWER ]] || fail "no answer to the REGISTER of $user"
}

contacts_are() { # contacts_are NUMBER [AOR]
	local n
	n=$(ctl bindings ${2:+"$2"} | grep -c 'sip:')
	[[ $n == "$1" ]] || fail "$n contacts instead of $1: $(ctl bindings)"
}

live_registrations() {
	local user
	destination app-1 5081
	WORKERS=3 EXTRA='registrar: { example.com: { auth: none, expires: { jitter: 0 } } }' conf_write
	sed -i 's/^routes:/&\n  - { when: { method: REGISTER }, to: registrar }/' sbc.yaml
	sbc_start
	exec {PHONE}<>"/dev/udp/127.0.0.1/$PUB"
	for user in alice bob carol dave; do
		phone_registers "$user" 1 "Contact: <sip:$user@192.0.2.1>, <sip:$user@192.0.2.2>;expires=120"
		[[ $ANSWER == "SIP/2.0 200 "* && $ANSWER == *"<sip:$user@192.0.2.2>;expires=120"* ]] || fail "registering $user: $ANSWER"
	done
	contacts_are 8
	contacts_are 2 carol@example.com
	expect "unregister" ctl unregister sip:carol@example.com sip:carol@192.0.2.1
	contacts_are 1 carol@example.com
	! ctl unregister nobody@example.com 2>out || fail "somebody who is not registered was removed"
	grep -q 'nobody@example.com has no such contact' out || fail "unregister: $(cat out)"
	ctl --json bindings carol@example.com | grep -q '"contact":"sip:carol@192.0.2.2","q":"1.000","transport":"UDP"' ||
		fail "bindings --json: $(ctl --json bindings carol@example.com)"
	phone_registers bob 2 'Contact: *\r\nExpires: 0'
	contacts_are 5
	phone_registers eve 1 'Contact: <sip:eve@192.0.2.1>;expires=10'
	[[ $ANSWER == "SIP/2.0 423 "* ]] || fail "too brief: $ANSWER"
	ctl metrics | grep -q '^sbc_domain_bindings{domain="example.com",transport="UDP"} 5$' || fail "metrics: $(ctl metrics | grep bindings)"
	ctl metrics | grep -q '^sbc_refused_total{reason="register-too-brief"} 1$' || fail "metrics: $(ctl metrics | grep refused)"
	sbc_end
}
