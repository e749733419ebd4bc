# tests/live/trunks.sh - a carrier played by Kamailio, with a telephone of SIPp behind it: it wants to see credentials for whatever we ask of
# it, and calls us at the Contact that we registered.
# shellcheck shell=bash

carrier_write() { # carrier_write PORT PHONE-PORT
	local modules
	modules=$(dpkg -L kamailio | sed -n 's|/tm\.so$||p')
	cat >kamailio.cfg <<-.
		debug=0
		log_stderror=yes
		children=1
		disable_tcp=yes
		auto_aliases=no
		dns=no
		rev_dns=no
		mlock_pages=no
		alias="carrier.example"
		listen=udp:127.0.0.3:$1
		mpath="$modules"
		loadmodule "tm.so"
		loadmodule "sl.so"
		loadmodule "rr.so"
		loadmodule "pv.so"
		loadmodule "textops.so"
		loadmodule "siputils.so"
		loadmodule "usrloc.so"
		loadmodule "registrar.so"
		loadmodule "auth.so"
		loadmodule "xlog.so"
		modparam("usrloc", "db_mode", 0)
		modparam("registrar", "max_expires", 60)

		request_route {
			if (is_method("CANCEL") || is_method("ACK")) {
				if (has_totag()) loose_route();
				t_relay();
				exit;
			}
			if (is_method("REGISTER")) {
				if (!pv_www_authenticate("carrier.example", "sesame", "0")) {
					www_challenge("carrier.example", "1");
					exit;
				}
				xlog("L_ERR", "carrier: REGISTER \$tu by \$au for \$hdr(Expires)\n");
				save("location");
				exit;
			}
			if (\$sp == $2) { # the telephone
				if (has_totag()) {
					loose_route();
				} else {
					record_route();
					if (!lookup("location")) {
						sl_send_reply("480", "Nobody");
						exit;
					}
				}
				t_relay();
				exit;
			}
			if (!pv_proxy_authenticate("carrier.example", "sesame", "0")) {
				xlog("L_ERR", "carrier: challenged \$rm\n");
				proxy_challenge("carrier.example", "1");
				exit;
			}
			xlog("L_ERR", "carrier: \$rm by \$au from \$fu to \$ru\n");
			consume_credentials();
			if (has_totag()) {
				loose_route();
			} else {
				record_route();
				\$du = "sip:127.0.0.4:$2";
			}
			t_relay();
		}
	.
}

sbc_write() { # sbc_write APP-PORT CARRIER-PORT
	cat >sbc.yaml <<-.
		node: live
		workers: $WORKERS
		zones:
		  public: { listen: "udp:127.0.0.1:$PUB", privacy: { identity: remove } }
		  core: { listen: "udp:127.0.0.1:$CORE", trust: "127.0.0.0/8" }
		pools:
		  apps: { zone: core, probe: off, destinations: [{ name: app-1, uri: "sip:127.0.0.1:$1" }] }
		  out: { zone: public, probe: off, destinations: [{ name: c1, uri: "sip:127.0.0.3:$2" }] }
		routes:
		  - { when: { trunk: carrier, user: "4930" }, to: { pool: apps } }
		  - { when: { zone: core }, to: { pool: out }, relay: true }
		trunks:
		  carrier: { zone: public, pool: out, domain: carrier.example, limits: { calls: 10, rate: 50/s },
		             register: { user: "4930" }, credentials: "file:$T/secret" }
		state: state
		admin: { socket: ctl.sock }
	.
	(umask 077 && echo "me:sesame" >secret)
	mkdir -p state
}

is_registered() {
	ctl trunks carrier | grep -q ' registered '
}

# from_core NAME SCENARIO: a server of ours calls a number.
from_core() {
	local port media
	port_take port
	media_take media
	sipp -sf "$2.xml" -i 127.0.0.1 -p "$port" -mp "$media" -nostdin -s 49176 -m 1 -timeout 30 -timeout_error -trace_msg \
		-message_file "$T/$1.messages" -trace_err -error_file "$T/$1.errors" "127.0.0.1:$CORE" >"$1.out" 2>&1 </dev/null
}

live_trunks() {
	local app carrier phone media
	command -v kamailio >/dev/null || skip "no kamailio"
	port_take app carrier phone
	carrier_write "$carrier" "$phone"
	sbc_write "$app" "$carrier"
	child kamailio.log kamailio -f kamailio.cfg -DD -E -m 64 -M 8 -w "$T"
	wait_until 10 eval "! port_is_free $carrier" || fail "Kamailio does not start: $(tail -n 3 kamailio.log)"
	sbc_start
	wait_until 10 is_registered || fail "not registered: $(ctl trunks; tail -n 3 kamailio.log)"
	(($(count_in kamailio.log 'REGISTER sip:4930@carrier.example by me for 3600') == 1)) || fail "the REGISTER: $(tail -n 3 kamailio.log)"

	# A call to the carrier: every request is challenged, and nobody but us hears of it.
	scenario callee answers <<-'.'
		<- INVITE has=INVITE_sip:49176@carrier.example hasnt=127.0.0.1:[0-9]+;tag
		-> 180
		-> 200 sdp
		<- ACK
		<- INFO
		-> 200
		<- BYE
		-> 200
	.
	scenario caller calls <<-'.'
		-> INVITE sdp
		<- 100?
		<- 180 hasnt=Proxy-Auth
		<- 200 hasnt=Proxy-Auth
		-> ACK
		-> INFO
		<- 200
		-> BYE
		<- 200
	.
	media_take media
	child phone.out sipp -sf answers.xml -i 127.0.0.4 -p "$phone" -mp "$media" -nostdin -m 1 -trace_msg \
		-message_file "$T/phone.messages" -trace_err -error_file "$T/phone.errors"
	wait_until 5 eval "! port_is_free $phone" || fail "the telephone does not listen"
	from_core calls calls || fail "the call to the carrier: $(head -c 300 calls.errors; tail -n 5 kamailio.log)"
	wait_until 5 eval "! kill -0 $CHILD 2>/dev/null"
	wait "$CHILD" || fail "the telephone: $(head -c 300 phone.errors)"
	for method in INVITE INFO BYE; do
		(($(count_in kamailio.log "challenged $method") == 1)) || fail "$method was not challenged once"
		(($(count_in kamailio.log "carrier: $method by me") == 1)) || fail "$method has no credentials"
	done
	grep -q 'INVITE by me from sip:alice@carrier.example to sip:49176@carrier.example' kamailio.log || fail "the domain is not put in"
	[[ $(ctl metrics | sed -n 's/^sbc_trunk_challenges_answered_total //p') == 4 ]] || fail "challenges answered"

	# A call from it, to where we registered.
	scenario callee app <<-'.'
		<- INVITE has=INVITE_sip:4930@127.0.0.1
		-> 200 sdp
		<- ACK
		<- BYE
		-> 200
	.
	scenario caller incoming <<-'.'
		-> INVITE sdp
		<- 100?
		<- 200
		-> ACK
		-> BYE
		<- 200
	.
	sed -i 's/sip:\[service\]@\[remote_ip\]:\[remote_port\]/sip:4930@carrier.example/' incoming.xml
	callee_start app "$app" app -m 1
	sipp -sf incoming.xml -i 127.0.0.4 -p "$phone" -mp "$media" -nostdin -m 1 -timeout 30 -timeout_error -trace_msg -message_file \
		"$T/incoming.messages" -trace_err -error_file "$T/incoming.errors" "127.0.0.3:$carrier" >incoming.out 2>&1 </dev/null ||
		fail "the call from the carrier: $(head -c 300 incoming.errors)"
	callee_end app

	ctl trunks nobody >/dev/null 2>&1 && fail "a trunk that is none"
	ctl reload >/dev/null || fail "reload"
	sleep 0.3
	(($(count_in kamailio.log 'REGISTER sip:4930') == 1)) || fail "a reload registers again"
	kill -TERM "$SBC_PID"
	wait_until 5 sbc_has_ended || fail "the SBC does not end on SIGTERM"
	wait_until 2 grep -q 'REGISTER sip:4930@carrier.example by me for 0' kamailio.log || fail "the registration was not taken back"
}
