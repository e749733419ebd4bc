# tests/live/transfer.sh - transfers by real phones through the SBC: Alice is on the public side, Bob and Carol in the core. linphone
# knows both kinds, baresip the blind one.
# shellcheck shell=bash
# shellcheck source=/dev/null
. "$LIVE/linphone.sh"

# Alice, Bob and Carol are reached by name from either side.
transfer_conf() {
	port_take_pair ALICE
	port_take_pair BOB
	port_take_pair CAROL
	cat >sbc.yaml <<-.
		node: live
		workers: 8
		zones:
		  public:
		    listen: ["udp:$NEAR:$PUB"]
		    domains: [example.com]
		  core:
		    listen: ["udp:$FAR:$CORE"]
		    domains: [example.com]
		    trust: ["127.0.0.0/8"]
		pools:
		  alice: { zone: public, probe: off, destinations: [{ name: alice, uri: "sip:127.0.0.1:$ALICE" }] }
		  bob: { zone: core, probe: off, destinations: [{ name: bob, uri: "sip:127.0.0.1:$BOB" }] }
		  carol: { zone: core, probe: off, destinations: [{ name: carol, uri: "sip:127.0.0.1:$CAROL" }] }
		routes:
		  - { when: { caller: any, user: "alice" }, to: { pool: alice } }
		  - { when: { caller: any, user: "bob" }, to: { pool: bob } }
		  - { when: { caller: any, user: "carol" }, to: { pool: carol } }
		state: state
		shutdown: { grace: 10s }
		admin: { socket: ctl.sock }
	.
	mkdir -p state
}

plain_linphone() { # plain_linphone NAME PORT [OPTIONS...]
	linphone_start "$1" "${@:3}" <<-.
		sip_port=$2
		sip_tls_port=0
		contact="$1" <sip:$1@127.0.0.1>
	.
	wait_until 10 eval "! port_is_free $2" || fail "$1 does not start: $(tail -n 2 "$1.out")"
}

linphones_start() {
	command -v linphonec >/dev/null || skip "no linphonec"
	transfer_conf
	sbc_start
	plain_linphone alice "$ALICE"
	plain_linphone bob "$BOB" -a
	plain_linphone carol "$CAROL" -a
}

linphone_calls() { # linphone_calls FROM NUMBER WHOM: its NUMBERth call
	linphone_do "$1" "call sip:$3@127.0.0.1:$([[ $1 == alice ]] && echo "$PUB" || echo "$CORE")"
	hears "$1" "Media streams established .* for call $2 "
	hears "$3" 'Media streams established'
}

# Bob and Carol talk, over one call through the SBC, and Alice has none.
transferred() { # transferred WHO: hangs up
	hears bob 'Call 2 with .* connected'
	wait_until 10 holds_calls 1 || fail "the SBC holds $(calls_held) calls"
	linphone_do "$1" 'terminate 2'
	hears bob 'Call 2 with .* ended'
	hears carol 'Call . with .* ended'
	wait_until 5 holds_calls 0 || fail "the SBC holds $(calls_held) calls"
	received_by bob carol >received
	grep -q '^Refer-To:' received || fail "nobody received a REFER"
	! grep -qE "^(Via|Contact|Record-Route|Refer-To|Referred-By|Replaces|Call-ID|From):.*:($PUB|$ALICE)([^0-9]|$)" received ||
		fail "the public side was seen in the core"
	sbc_end
}

# received_by NAME...: what the SBC sent them, from their logs.
received_by() {
	local name
	for name; do
		awk '/belle-sip-message-channel.*received/ { inside = 1 } / parsed$| sent to / { inside = 0 } inside' "$name/debug.log"
	done | tr -d '\r'
}

live_transfer_attended() {
	linphones_start
	linphone_calls alice 1 bob
	linphone_do alice pause
	hears alice 'Call 1 .* is now paused'
	linphone_calls alice 2 carol
	linphone_do alice 'transfer 1 --to-call 2'
	hears alice 'Call 1 with .* ended'
	hears alice 'Call 2 with .* ended'
	hears carol 'Call 1 with .* ended'
	transferred bob
}

# Whom she called and who called her: the leg that is named is the near one now.
live_transfer_attended_of_a_callee() {
	linphones_start
	linphone_calls alice 1 bob
	linphone_do alice pause
	hears alice 'Call 1 .* is now paused'
	linphone_do carol "call sip:alice@127.0.0.1:$CORE"
	hears alice 'Receiving new incoming call'
	linphone_do alice 'answer 2'
	hears alice 'Media streams established .* for call 2 '
	linphone_do alice 'transfer 1 --to-call 2'
	hears alice 'Call 1 with .* ended'
	hears carol 'Call 1 with .* ended'
	transferred bob
}

live_transfer_blind() {
	linphones_start
	linphone_calls alice 1 bob
	linphone_do alice "transfer 1 sip:carol@127.0.0.1:$PUB"
	hears bob 'Call 1 with .* ended'
	hears alice 'Call 1 with .* ended'
	transferred bob
}

# baresip follows a REFER by itself, and hangs up when it was followed.
live_transfer_blind_by_baresip() {
	local alice_ctl bob_ctl carol_ctl alice_rtp bob_rtp carol_rtp
	transfer_conf
	port_take_pair alice_rtp
	port_take_pair carol_rtp
	media_take bob_rtp # he has two calls for a moment
	port_take alice_ctl bob_ctl carol_ctl
	sbc_start
	phone_start alice "$ALICE" "$alice_rtp" "$alice_ctl"
	phone_start bob "$BOB" "$bob_rtp" "$bob_ctl" 2
	phone_start carol "$CAROL" "$carol_rtp" "$carol_ctl"
	phone_do "$alice_ctl" dial "sip:bob@127.0.0.1:$PUB"
	wait_until 10 grep -q 'Call established' alice.log || fail "no call: $(tail -n 3 alice.log)"
	phone_do "$alice_ctl" transfer "sip:carol@127.0.0.1:$PUB"
	wait_until 10 grep -q 'Call established' carol.log || fail "no call at carol: $(tail -n 3 bob.log)"
	wait_until 10 holds_calls 1 || fail "the SBC holds $(calls_held) calls"
	phone_do "$carol_ctl" hangup
	wait_until 5 holds_calls 0 || fail "the SBC holds $(calls_held) calls"
	sbc_end
}
