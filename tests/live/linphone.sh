# tests/live/linphone.sh - linphone over TLS: it registers, calls and is called; it and the SBC refuse each other's certificates.
# shellcheck shell=bash
# shellcheck source=/dev/null
. "$LIVE/phones.sh"
. "$LIVE/tls.sh" # which reads DESTINATION

declare -A LINE_TO # what is written there is typed into a linphone

# linphone_start NAME [OPTIONS...] <<its section "sip", and whatever comes after it
linphone_start() {
	local name=$1 rtp fd
	shift
	port_take_pair rtp
	mkdir -p "$name/.local/share/linphone" "$name/.config/linphone"
	{
		printf '%s\n' '[rtp]' "audio_rtp_port=$rtp" '[sip]' bind_address=127.0.0.1 guess_hostname=0 auto_net_state_mon=0 sip_tcp_port=0
		cat
	} >"$name/rc"
	mkfifo "$name/in"
	exec {fd}<>"$name/in"
	LINE_TO[$name]=$fd
	# shellcheck disable=SC2016
	child "$name.out" bash -c 'exec env HOME="$1" TERM=dumb stdbuf -oL linphonec -c "$1/rc" -d 5 -l "$1/debug.log" "${@:2}" <"$1/in"' \
		- "$T/$name" "$@"
	linphone_do "$name" "soundcard use files"
}

linphone_do() { # linphone_do NAME COMMAND
	echo "$2" >&"${LINE_TO[$1]}"
}

hears() { # hears NAME REGEX
	wait_until 10 grep -qE -- "$2" "$1.out" || fail "$1 has no \"$2\": $(tail -n 4 "$1.out")"
}

calls_held() {
	ctl --json calls | grep -o '"state":' | wc -l
}

holds_calls() { # for wait_until
	(($(calls_held) == $1))
}

# secure_linphones CERTIFICATE OPTIONS: the SBC, which shows CERTIFICATE, with `tls-options` OPTIONS.
secure_linphones() {
	command -v linphonec >/dev/null || skip "no linphonec"
	"$ROOT/tests/pki" "$T/certs" || fail "no certificates: $(tail -n 2 "$T/certs/openssl.log")"
	port_take APP
	DESTINATION="{ name: app, uri: \"sip:127.0.0.1:$APP\" }"
	use "$1"
	tls_conf sbc.yaml "$PUB" "$CORE" ctl "$2"
	sed -i -e 's/name: sip.example.com/name: localhost/; s/domains: .*/domains: [127.0.0.1]\n    advertise: localhost/' \
		-e 's/^registrar: .*/registrar: { "127.0.0.1": { auth: none } }/' sbc.yaml
	sbc_start
}

# secure_linphone NAME AUTHORITY OWN [OPTIONS...]: believes AUTHORITY and shows the certificate OWN, if any; everything goes to the SBC.
# Its library asks a certificate for names only, never for an address.
secure_linphone() {
	linphone_start "$1" "${@:4}" <<-.
		sip_port=0
		sip_tls_port=-1
		root_ca=$T/certs/$2.pem
		verify_server_certs=1
		verify_server_cn=1
		${3:+client_cert_chain=$T/certs/$3.pem}
		${3:+client_cert_key=$T/certs/$3.key}
		register_only_when_network_is_up=0
		default_proxy=0
		[proxy_0]
		reg_proxy=<sip:localhost:$PUB;transport=tls>
		reg_route=<sip:localhost:$PUB;transport=tls>
		reg_identity=sip:$1@127.0.0.1
		reg_sendregister=1
	.
}

registers() { # registers NAME
	wait_until 10 eval "ctl bindings | grep -qE '^$1@.* TLS '" ||
		fail "$1 does not register: $(grep -E 'error|flags=|reason' "$1/debug.log" | tail -n 4)"
}

gives_up() { # gives_up NAME
	wait_until 10 grep -qs 'SSL handshake failed' "$1/debug.log" || fail "$1 does not give up: $(tail -n 2 "$1.out")"
}

refuses() { # refuses NAME FLAG: what its library says of the SBC's certificate
	gives_up "$1"
	grep -qE "flags=\[.*$2" "$1/debug.log" || fail "$1 does not say $2: $(grep flags= "$1/debug.log" | tail -n 2)"
}

live_linphone_over_tls() {
	secure_linphones here '{ ca: certs/ca.pem }'
	secure_linphone alice ca ''
	secure_linphone bob ca '' -a
	registers alice
	registers bob
	linphone_do alice 'call sip:bob@127.0.0.1'
	hears alice 'Media streams established .* for call 1 '
	hears bob 'Media streams established .* for call 1 '
	holds_calls 1 || fail "the SBC holds $(calls_held) calls"
	linphone_do alice 'terminate 1'
	hears bob 'Call 1 with .* ended'
	linphone_do bob 'call sip:alice@127.0.0.1'
	hears alice 'Receiving new incoming call'
	linphone_do alice 'answer 2'
	hears bob 'Media streams established .* for call 2 '
	linphone_do alice 'terminate 2'
	hears alice 'Call 2 with .* ended'
	hears bob 'Call 2 with .* ended'
	wait_until 5 holds_calls 0 || fail "the SBC holds $(calls_held) calls"
	[[ $(grep -c '"transport":"TLS".*"status":200' ctl/cdr.jsonl) == 2 ]] || fail "not two calls over TLS: $(cat ctl/cdr.jsonl)"
	[[ $(metric sbc_tls_handshakes_total) == 2 ]] || fail "connections, of which each has one: $(metric sbc_tls_handshakes_total)"
	sbc_end
}

live_linphone_refuses_our_certificate() {
	secure_linphones here-old '{ ca: certs/ca.pem }'
	secure_linphone alice ca ''
	refuses alice expired
	use here
	wait_until 5 eval '[[ $(shown_serial) == "$(file_serial here)" ]]' || fail "it shows $(shown_serial)"
	secure_linphone bob stranger-ca ''
	refuses bob not-trusted
	(($(metric sbc_tls_refused_total) >= 2)) || fail "refusals are not counted: $(metric sbc_tls_refused_total)"
	secure_linphone carol ca ''
	registers carol
	[[ $(ctl bindings | wc -l) == 2 ]] || fail "somebody else has registered: $(ctl bindings)"
	sbc_end
}

# It tries again, and asks its user for a certificate: so only the SBC is asked how often.
not_believed() { # not_believed NAME OWN: by the SBC
	local before
	before=$(metric sbc_tls_untrusted_total)
	secure_linphone "$1" ca "$2"
	wait_until 10 eval '(($(metric sbc_tls_untrusted_total) > before))' ||
		fail "the SBC does not refuse $1: $(tail -n 2 "$1/debug.log")"
	kill "$CHILD"
	wait_until 5 eval '! kill -0 "$CHILD" 2>/dev/null' || fail "$1 does not end"
}

live_linphone_shows_its_certificate() {
	secure_linphones here '{ ca: certs/ca.pem, verify-client: require }'
	not_believed alice ''
	not_believed bob stranger
	secure_linphone carol ca user
	registers carol
	[[ $(ctl bindings | wc -l) == 2 ]] || fail "somebody else has registered: $(ctl bindings)"
	sbc_end
}
