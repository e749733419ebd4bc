# tests/live/tls.sh - TLS with clients that are not ours: openssl, baresip, the generator of bench/; certificates that change while calls
# go through, and those that are no good.
# shellcheck shell=bash
readonly TLS_CALLS=${SBC%/*}/bench/bench-load

# tls_conf FILE PUB CORE STATE OPTIONS: a node that shows sip.example.com at tls:PUB, with `tls-options` OPTIONS; calls go to $DESTINATION.
tls_conf() {
	cat >"$1" <<-.
		node: $4
		workers: 2
		state: $4
		zones:
		  public:
		    listen: ["tls:127.0.0.1:$2", "udp:127.0.0.1:$2"]
		    tls: [{ name: sip.example.com, cert: used.pem, key: used.key }]
		    tls-options: $5
		    domains: [example.com]
		  core:
		    listen: ["udp:127.0.0.1:$3", "tls:127.0.0.1:$3"]
		    tls: [{ name: sip.example.com, cert: used.pem, key: used.key }]
		    tls-options: { ca: certs/ca.pem }
		    trust: ["127.0.0.0/8"]
		pools:
		  apps: { zone: core, probe: { every: 1s, timeout: 500ms, down-after: 2, up-after: 1 }, destinations: [$DESTINATION] }
		registrar: { example.com: { auth: none } }
		routes:
		  - { when: { method: REGISTER }, to: registrar }
		  - { when: { callee: registered, caller: any }, to: location }
		  - { when: { caller: any }, to: { pool: apps } }
		shutdown: { grace: 5s }
		admin: { socket: $4.sock }
	.
	mkdir -p "$4"
}

# use NAME: its certificate and key are the ones in use, each file replaced whole.
use() {
	cp "certs/$1.key" next.key && mv next.key used.key && cp "certs/$1.pem" next.pem && mv next.pem used.pem
}

tls_begin() { # tls_begin [OPTIONS]: one node, whose calls go to port APP
	"$ROOT/tests/pki" "$T/certs" || fail "no certificates: $(tail -n 2 "$T/certs/openssl.log")"
	port_take APP
	DESTINATION="{ name: app, uri: \"sip:127.0.0.1:$APP\" }"
	use sip
	tls_conf sbc.yaml "$PUB" "$CORE" ctl "${1:-{ ca: certs/ca.pem \}}"
	sbc_start
}

metric() { # metric NAME [SOCKET]
	"$SBCCTL" -s "${2:-ctl.sock}" metrics | awk -v name="$1" '$1 ~ "^" name "([{]|$)" { n += $NF } END { printf "%.0f\n", n }'
}

asks() { # asks [S_CLIENT-ARGUMENTS...] <what to say: what openssl prints, into asked.log
	timeout 5 openssl s_client -connect "127.0.0.1:$PUB" -CAfile certs/ca.pem "$@" >asked.log 2>&1
}

shown_serial() { # of the certificate that a client gets now
	echo | timeout 5 openssl s_client -connect "127.0.0.1:$PUB" -servername sip.example.com 2>/dev/null | openssl x509 -noout -serial
}

file_serial() {
	openssl x509 -noout -serial -in "certs/$1.pem"
}

shows() { # for wait_until
	[[ $(shown_serial) == "$(file_serial "$1")" ]]
}

live_tls_clients() {
	tls_begin '{ ca: certs/ca.pem, min-version: "1.2" }'
	echo | asks -servername sip.example.com -verify_return_error -verify_hostname sip.example.com -tls1_3 ||
		fail "TLS 1.3: $(tail -n 3 asked.log)"
	echo | asks -servername sip.example.com -verify_return_error -tls1_2 || fail "TLS 1.2: $(tail -n 3 asked.log)"
	! echo | asks -tls1_1 -cipher 'DEFAULT:@SECLEVEL=0' || fail "TLS 1.1 is spoken"
	# Renegotiation is refused; s_client asks for it at a line that is R.
	(sleep 0.3; echo R; sleep 0.3) | asks -tls1_2
	grep -qE 'no renegotiation|NO_RENEGOTIATION|alert' asked.log || fail "renegotiation: $(tail -n 3 asked.log)"
	# A session is resumed, also at the other worker: both know the key.
	echo | asks -servername sip.example.com -tls1_2 -sess_out session
	for _ in 1 2 3 4 5; do
		echo | asks -servername sip.example.com -tls1_2 -sess_in session
		grep -q '^Reused' asked.log || fail "no session is resumed: $(grep -E '^(New|Reused)' asked.log)"
	done
	[[ $(metric sbc_tls_resumed_total) == 5 ]] || fail "resumed: $(metric sbc_tls_resumed_total)"
	printf 'OPTIONS sip:x SIP/2.0\r\n\r\n' | timeout 2 bash -c "cat >/dev/tcp/127.0.0.1/$PUB" || true
	printf '\x16\x03\x01\xff\xff\x01' | timeout 2 bash -c "cat >/dev/tcp/127.0.0.1/$PUB" || true
	wait_until 5 eval '[[ $(metric sbc_tls_garbage_total) == 3 ]]' || # TLS 1.1 was the first
		fail "garbage: $(metric sbc_tls_garbage_total)"
	sbc_is_up || fail "the SBC has gone"
	sbc_end
}

# Calls over TLS on both sides: a second node, which wants to see our certificate, answers for the servers.
live_tls_calls_both_sides() {
	local pub core line mutual='{ ca: certs/ca.pem, verify-client: require }'
	"$ROOT/tests/pki" "$T/certs" || fail "no certificates"
	port_take APP pub core
	use sip
	DESTINATION="{ name: app, uri: \"sip:127.0.0.1:$APP\" }"
	tls_conf far.yaml "$pub" "$core" far "$mutual"
	child far.log "$SBC" -c far.yaml
	wait_until 10 grep -q sbc.ready far.log || fail "the far node does not start: $(tail -n 2 far.log)"
	DESTINATION="{ name: far, uri: \"sip:127.0.0.1:$pub;transport=tls\", tls-name: sip.example.com }"
	tls_conf sbc.yaml "$PUB" "$CORE" ctl '{ ca: certs/ca.pem }'
	sbc_start
	line=$(echo "-t 127.0.0.1:$PUB -T tls -p 20 -n 400 -c 100 -u bob -d example.com" | timeout 60 "$TLS_CALLS" -l "127.0.0.1:$APP" 2>calls.err)
	[[ $line == '{"good":true,'* && ! -s calls.err ]] || fail "$line $(head -c 300 calls.err)"
	(($(metric sbc_tls_handshakes_total far.sock) <= 6)) || fail "connections are not used again: $(metric sbc_tls_handshakes_total far.sock)"
	[[ $(metric sbc_tls_untrusted_total far.sock) == 0 ]] || fail "somebody was not believed"
	sbc_end
}

# A certificate is replaced while calls go through; then those that are no good are offered.
live_tls_certificate_replaced_under_load() {
	local line load
	tls_begin
	(echo "-t 127.0.0.1:$PUB -T tls -p 20 -n 600 -c 100 -u bob -d example.com" | timeout 60 "$TLS_CALLS" -l "127.0.0.1:$APP" >calls.out 2>calls.err) &
	load=$!
	sleep 1
	wait_until 5 shows sip || fail "it shows $(shown_serial)"
	use sip2
	wait_until 5 shows sip2 || fail "it still shows $(shown_serial)"
	use stranger # another authority's, but good: whoever writes it there wants it
	wait_until 5 shows stranger || fail "it still shows $(shown_serial)"
	use sip
	wait_until 5 shows sip || fail "it still shows $(shown_serial)"
	cp certs/uri.key used.key # another certificate's
	wait_until 5 grep -q 'is the key of another certificate' sbc.log || fail "nothing is said of the key: $(tail -n 2 sbc.log)"
	shows sip || fail "a key that does not match was taken"
	! ctl certificates --reload >reload.out 2>&1 || fail "sbcctl took it"
	grep -q 'is the key of another certificate' reload.out || fail "sbcctl does not say why: $(cat reload.out)"
	use old
	wait_until 5 grep -q 'certificates.rejected' sbc.log
	ctl certificates --reload >reload.out 2>&1 && fail "an expired certificate took a good one's place"
	grep -q 'expired' reload.out || fail "sbcctl does not say that it is expired: $(cat reload.out)"
	shows sip || fail "an expired certificate was taken"
	echo 'no certificate' >used.pem
	ctl certificates --reload >reload.out 2>&1 && fail "a text was taken for a certificate"
	shows sip || fail "it shows $(shown_serial)"
	use sip2
	expect "a good one is taken" ctl certificates --reload
	shows sip2 || fail "it shows $(shown_serial)"
	wait "$load"
	line=$(cat calls.out)
	[[ $line == '{"good":true,'* && ! -s calls.err ]] || fail "$line $(head -c 300 calls.err)"
	sbc_end
}

live_tls_check() {
	"$ROOT/tests/pki" "$T/certs" || fail "no certificates"
	DESTINATION='{ name: app, uri: "sip:127.0.0.1:5081" }'
	checked() { # checked TEXT EXIT
		tls_conf sbc.yaml "$PUB" "$CORE" ctl '{ ca: certs/ca.pem }'
		"$SBC" -c sbc.yaml --check >check.out 2>&1
		[[ $? == "$2" ]] || fail "$1: exit code is not $2: $(head -n 3 check.out)"
		grep -qF "$1" check.out || fail "no \"$1\": $(head -n 3 check.out)"
	}
	use sip && checked 'pool apps in zone core' 0
	use old && checked 'sbc.yaml:7:42: warning: zones.public.tls[0].cert: expired' 0
	use soon && checked 'zones.public.tls[0].cert: expires in ' 0
	use uri && checked 'sbc.yaml:7:11: zones.public.tls[0].name: the certificate is not for sip.example.com, and clients would refuse it; it is for: example.net' 1
	use sip && cp certs/rsa.key used.key && checked 'zones.public.tls[0].key: used.key is the key of another certificate' 1
	use sip && chmod 644 used.key && checked 'zones.public.tls[0].key: everybody on this host may read it' 0
	use sip && rm used.key && checked 'zones.public.tls[0].key: used.key cannot be read: No such file or directory' 1
}

# baresip over TLS: it believes our authority, registers, calls, is called, and hangs up.
live_tls_baresip() {
	local dir control
	command -v baresip >/dev/null || skip "no baresip"
	for dir in /usr/lib/baresip/modules /usr/lib/*/baresip/modules; do [[ -f $dir/aufile.so ]] && break; done
	tls_begin
	port_take control
	mkdir phone
	{
		printf 'RIFF\x24\xe2\x04\x00WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\0\xe2\x04\x00'
		head -c 320000 /dev/zero
	} >phone/say.wav
	cat >phone/config <<-.
		poll_method epoll
		sip_listen 127.0.0.1:0
		sip_cafile $T/certs/ca.pem
		sip_verify_server yes
		audio_source aufile,$T/phone/say.wav
		audio_player aufile,$T/phone/heard.wav
		audio_alert aufile,$T/phone/heard.wav
		module_path $dir
		module g711.so
		module aufile.so
		module_tmp uuid.so
		module_tmp account.so
		module_app menu.so
		module_app ctrl_tcp.so
		ctrl_tcp_listen 127.0.0.1:$control
	.
	echo "<sip:phone@127.0.0.1:$PUB;transport=tls>;regint=600;answermode=auto;audio_codecs=pcmu" >phone/accounts
	: >phone/contacts
	sed -i 's/domains: .*/domains: [example.com, 127.0.0.1]/; s/^registrar: .*/registrar: { "127.0.0.1": { auth: none } }/' sbc.yaml
	expect "reload" ctl reload
	callee_start callee "$APP" builtin
	child phone.log stdbuf -oL baresip -f "$T/phone"
	wait_until 10 grep -q '200 OK.*1 binding' phone.log || fail "baresip does not register: $(tail -n 4 phone.log)"
	ctl --json bindings | grep -q '"transport":"tls"' || ctl bindings | grep -qi tls || fail "not over TLS: $(ctl bindings)"
	baresip_do() {
		local message="{\"command\":\"$1\",\"params\":\"$2\"}"
		# shellcheck disable=SC2016
		timeout 3 bash -c 'exec {fd}<>/dev/tcp/127.0.0.1/$2; printf "%d:%s," ${#1} "$1" >&"$fd"; sleep 0.5' - "$message" "$control"
	}
	baresip_do dial "sip:bob@127.0.0.1:$PUB;transport=tls"
	wait_until 10 grep -q 'Call established' phone.log || fail "no call: $(tail -n 4 phone.log)"
	[[ $(ctl --json calls | grep -o '"state":' | wc -l) == 1 ]] || fail "the SBC holds no call"
	baresip_do hangup ""
	wait_until 5 eval '[[ $(ctl --json calls | grep -o "\"state\":" | wc -l) == 0 ]]' || fail "the call goes on"
	grep -qi '"transport":"tls"' ctl/cdr.jsonl || fail "the CDR does not say TLS: $(tail -n 1 ctl/cdr.jsonl)"
	sbc_end
}
